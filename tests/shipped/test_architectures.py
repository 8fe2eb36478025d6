"""The networks have the published numbers of parameters, and take the sizes that they say."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from architectures import (
    VGG16,
    ConvNeXt,
    DenseNet,
    EfficientNetB0,
    InceptionV3,
    MobileNetV2,
    ShuffleNetV2,
    SqueezeNet,
    VisionTransformer,
    mobilenet_v3_large,
    mobilenet_v3_small,
    resnet18,
    resnet34,
)

PUBLISHED: dict[str, tuple[Callable[..., nn.Module], int]] = {
    "vgg16": (partial(VGG16, image_size=224, hidden_features=4096), 138_357_544),
    "vgg16-bn": (
        partial(VGG16, image_size=224, hidden_features=4096, batch_norm=True),
        138_365_992,
    ),
    "resnet18": (resnet18, 11_689_512),
    "resnet34": (resnet34, 21_797_672),
    "densenet121": (DenseNet, 7_978_856),
    "squeezenet1.1": (SqueezeNet, 1_235_496),
    "shufflenetv2": (ShuffleNetV2, 2_278_604),
    "inceptionv3": (InceptionV3, 27_161_264),
    "inceptionv3-alone": (partial(InceptionV3, auxiliary=False), 23_834_568),
    "mobilenetv2": (MobileNetV2, 3_504_872),
    "mobilenetv3-small": (mobilenet_v3_small, 2_542_856),
    "mobilenetv3-large": (mobilenet_v3_large, 5_483_032),
    "efficientnet-b0": (EfficientNetB0, 5_288_548),
    "vit-b/16": (
        partial(VisionTransformer, image_size=224, patch_size=16, dim=768, depth=12, heads=12),
        86_567_656,
    ),
    "convnext-t": (ConvNeXt, 28_589_128),
}


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("name", PUBLISHED)
def test_as_many_parameters_as_published(name: str) -> None:
    build, published = PUBLISHED[name]
    with torch.device("meta"):
        assert count_parameters(build(num_classes=1000)) == published


def test_vgg_features_are_the_published_ones() -> None:
    with torch.device("meta"):
        assert count_parameters(VGG16().features) == 14_714_688


@pytest.mark.parametrize("build", [resnet18, resnet34])
def test_resnet_keeps_the_resolution_of_small_images(build: Callable[..., nn.Module]) -> None:
    network = build(small_input=True)
    assert network.stem(torch.zeros(1, 3, 32, 32)).shape == (1, 64, 32, 32)
    assert build().stem(torch.zeros(1, 3, 32, 32)).shape == (1, 64, 8, 8)


@pytest.mark.parametrize("side", [75, 96, 299])
def test_inception_returns_a_second_output_by_option(side: int) -> None:
    with torch.device("meta"):
        images = torch.zeros(2, 3, side, side)
        network = InceptionV3(num_classes=7)
        assert [logits.shape for logits in network(images)] == [(2, 7), (2, 7)]
        assert network.eval()(images).shape == (2, 7)
        network = InceptionV3(num_classes=7, auxiliary_in_inference=True).eval()
        assert [logits.shape for logits in network(images)] == [(2, 7), (2, 7)]


def test_same_padding_follows_the_size_of_the_input() -> None:
    stem = EfficientNetB0().features[0]
    padded = {side: tuple(stem[0](torch.zeros(1, 3, side, side)).shape[2:]) for side in (32, 33)}
    assert padded == {32: (33, 33), 33: (35, 35)}
    assert stem(torch.zeros(1, 3, 33, 32)).shape[2:] == (17, 16)
