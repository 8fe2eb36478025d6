"""Every network at a size that a test can afford: few pixels, and short where it may be."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from architectures.convnext import Block, ConvNeXt
from architectures.densenet import DenseNet
from architectures.efficientnet import EfficientNetB0
from architectures.inceptionv3 import InceptionV3
from architectures.lenet5 import LeNet5
from architectures.mlp import MLP
from architectures.mobilenetv2 import MobileNetV2
from architectures.mobilenetv3 import mobilenet_v3_large, mobilenet_v3_small
from architectures.resnet import resnet18, resnet34
from architectures.shufflenetv2 import ShuffleNetV2
from architectures.squeezenet import SqueezeNet
from architectures.vgg import VGG16
from architectures.vit import VisionTransformer


class Example(NamedTuple):
    """A network's constructor, and the [C, H, W] of its images."""

    build: Callable[[], nn.Module]
    shape: tuple[int, int, int]


_SMALL = (3, 32, 32)
_VIT = partial(VisionTransformer, dim=96, depth=3)
EXAMPLES = {
    "mlp": Example(MLP, (1, 28, 28)),
    "lenet5": Example(LeNet5, (1, 28, 28)),
    "vgg16": Example(VGG16, _SMALL),
    "vgg16-bn": Example(partial(VGG16, batch_norm=True), _SMALL),
    "resnet18": Example(partial(resnet18, small_input=True), _SMALL),
    "resnet34": Example(partial(resnet34, small_input=True), _SMALL),
    "densenet-short": Example(partial(DenseNet, blocks=(2, 2, 4, 2)), _SMALL),
    "squeezenet1.1": Example(SqueezeNet, _SMALL),
    "shufflenetv2": Example(ShuffleNetV2, _SMALL),
    "inceptionv3": Example(InceptionV3, (3, 75, 75)),
    "inceptionv3-2-outputs": Example(
        partial(InceptionV3, auxiliary_in_inference=True), (3, 75, 75)
    ),
    "mobilenetv2": Example(MobileNetV2, _SMALL),
    "mobilenetv3-small": Example(mobilenet_v3_small, _SMALL),
    "mobilenetv3-large": Example(mobilenet_v3_large, _SMALL),
    "efficientnet-b0": Example(EfficientNetB0, _SMALL),
    "vit": Example(_VIT, _SMALL),
    "vit-fused": Example(partial(_VIT, fused=True), _SMALL),
    "convnext-short": Example(
        partial(ConvNeXt, widths=(48, 96, 192, 384), depths=(1, 1, 2, 1)), _SMALL
    ),
}


def make_example(name: str, *, has_biases: bool = True) -> nn.Module:
    """A network in inference mode whose signal survives its depth, with uneven statistics.

    All biases are random, or all are zero, which exporters may merge into one tensor.
    """
    torch.manual_seed(0)
    network = EXAMPLES[name].build()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
        if isinstance(module, Block):
            nn.init.uniform_(module.layer_scale, 0.5, 1.5)
        bias = getattr(module, "bias", None)
        if isinstance(bias, nn.Parameter):
            nn.init.normal_(bias, std=0.1 if has_biases else 0.0)
    with torch.no_grad():
        network(make_images(name, 8))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_var is not None:
            module.running_var.clamp_(min=float(module.running_var.mean()) / 2)
    return network.eval()


def make_images(name: str, count: int) -> torch.Tensor:
    """Noise [count, C, H, W] about one colour an image, so that images differ when averaged."""
    shape = EXAMPLES[name].shape
    return torch.randn(count, shape[0], 1, 1) + torch.randn(count, *shape)


def export_example(network: nn.Module, images: torch.Tensor, exporter: str, path: Path) -> None:
    """Export with a free batch size: `legacy-17`, `dynamo-18`, or `dynamo` at its own opset."""
    kind, _, opset = exporter.partition("-")
    outputs = ["logits", "auxiliary"] if isinstance(network(images), tuple) else ["logits"]
    version = int(opset) if opset else None
    if kind == "dynamo":
        torch.onnx.export(
            network, (images,), path, dynamo=True, opset_version=version, external_data=False,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            input_names=["image"], output_names=outputs, verbose=False,
        )  # fmt: skip
        return
    torch.onnx.export(
        network, (images,), path, dynamo=False, opset_version=version,
        input_names=["image"], output_names=outputs,
        dynamic_axes={name: {0: "batch"} for name in ("image", *outputs)},
    )  # fmt: skip
