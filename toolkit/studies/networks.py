"""The networks of the studies: trained once for each data set, and kept in a cache folder."""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from architectures import (
    MLP,
    VGG16,
    InceptionV3,
    LeNet5,
    mobilenet_v3_large,
    mobilenet_v3_small,
    resnet18,
    resnet34,
)
from recipes.training import TrainingOptions, train
from studies.datasets import Dataset


class NetworkSpec(NamedTuple):
    """How a network is built and trained, and the size of its images.

    Its last layer is `classifier`, a Linear.
    """

    build: Callable[[int], nn.Module]
    epochs: int
    channels: int = 3
    extent: int = 32


_DIGITS = frozenset({"mnist", "svhn"})
# Standard stems, which make networks of the published depth affordable at 32 x 32 on two cores.
NETWORKS: Mapping[str, NetworkSpec] = {
    "mlp": NetworkSpec(MLP, epochs=8, channels=1, extent=28),
    "lenet5": NetworkSpec(LeNet5, epochs=10, channels=1, extent=28),
    "vgg16": NetworkSpec(partial(VGG16, batch_norm=True), epochs=4),
    "resnet18": NetworkSpec(resnet18, epochs=4),
    "resnet34": NetworkSpec(resnet34, epochs=4),
    "inceptionv3": NetworkSpec(partial(InceptionV3, auxiliary=False), epochs=4, extent=75),
    "mobilenetv3-small": NetworkSpec(mobilenet_v3_small, epochs=6),
    "mobilenetv3-large": NetworkSpec(mobilenet_v3_large, epochs=6),
}


def prepare_inputs(
    images: npt.NDArray[np.uint8], spec: NetworkSpec, statistics: tuple[float, float]
) -> Tensor:
    """Turn images [N, H, W, C] into inputs [N, C, H, W]: resized, grey repeated, normalised."""
    inputs = torch.tensor(images).permute(0, 3, 1, 2).float() / 255
    if inputs.shape[-1] != spec.extent:
        inputs = functional.interpolate(
            inputs, size=(spec.extent, spec.extent), mode="bilinear", antialias=True
        )
    mean, std = statistics
    return ((inputs - mean) / std).expand(-1, spec.channels, -1, -1).contiguous()


def measure_statistics(dataset: Dataset) -> tuple[float, float]:
    """Return mean and standard deviation of the training pixels, scaled to 0-1."""
    pixels = dataset.train.images
    return float(pixels.mean() / 255), float(pixels.std() / 255)


def get_network(
    dataset: Dataset,
    name: str,
    cache: Path,
    *,
    seed: int = 0,
    without: tuple[int, ...] = (),
) -> nn.Module:
    """Return a network in inference mode, trained on the classes not in `without`, or from `cache`.

    With `without`, it is a retrained network, which still has an output for every class.
    """
    spec = NETWORKS[name]
    options = TrainingOptions(epochs=spec.epochs, mirrors=dataset.name not in _DIGITS, seed=seed)
    key = json.dumps([dataset.name, name, list(without), str(options), str(spec.extent)])
    path = cache / f"{dataset.name}.{name}.{hashlib.sha256(key.encode()).hexdigest()[:12]}.pt"
    torch.manual_seed(seed)
    network = spec.build(dataset.num_classes)
    if path.is_file():
        network.load_state_dict(torch.load(path, weights_only=True))
        return _lay_out(network.eval())
    kept = ~np.isin(dataset.train.labels, without)
    inputs = prepare_inputs(dataset.train.images[kept], spec, measure_statistics(dataset))
    train(network, inputs, torch.from_numpy(dataset.train.labels[kept]), options)
    cache.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), path)
    return _lay_out(network)


def _lay_out(network: nn.Module) -> nn.Module:
    """Lay out tensors channels last: several times as fast where the last maps are 1 x 1."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in the stubs
    return network
