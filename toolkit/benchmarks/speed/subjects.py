"""What is measured: images as arrays and as JPEGs, and networks with random weights."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

import architectures
from architectures.examples import export_example
from studies.datasets import Split
from studies.results import ROOT

SHIPPED = ROOT / "models" / "mobilenetv3_small_fashion_mnist" / "model.onnx"
SAMPLES = ROOT / "calibration_samples" / "fashion_mnist"
SIDECARS = ("labels.txt", "preprocessor_config.json")
DRAWN = 500  # JPEGs; further ones are links to them
_QUALITY = 90


class Network(NamedTuple):
    """A network's title, its constructor's name, and the side of its square images."""

    title: str
    constructor: str
    side: int


SMALL = Network("MobileNetV3-Small", "mobilenet_v3_small", 32)
LARGE = Network("MobileNetV3-Large", "mobilenet_v3_large", 32)
VGG = Network("VGG16", "VGG16", 32)


def build_network(network: Network) -> torch.nn.Module:
    """Build the plain module in inference mode, with the same weights each time."""
    torch.manual_seed(0)
    module: torch.nn.Module = getattr(architectures, network.constructor)()
    return module.eval()


def export_network(network: Network, folder: Path) -> Path:
    """Export a network with random weights, with labels and preprocessing for its size."""
    folder.mkdir(parents=True)
    images = torch.randn(2, 3, network.side, network.side)
    export_example(build_network(network), images, "legacy-17", folder / "model.onnx")
    for name in SIDECARS:
        text = SHIPPED.with_name(name).read_text("utf-8")
        (folder / name).write_text(text.replace(": 32", f": {network.side}"), "utf-8")
    return folder / "model.onnx"


def write_arrays(split: Split, count: int, path: Path) -> Path:
    """Write the first `count` images, uncompressed."""
    np.savez(path, x=split.images[:count, ..., 0], y=split.labels[:count])
    return path


def write_jpegs(split: Split, count: int, side: int, folder: Path) -> Path:
    """Write colour images with camera-like noise, in one folder for each class."""
    rng = np.random.default_rng(0)
    for index in range(count):
        place = folder / str(split.labels[index % DRAWN]) / f"{index}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        if index < DRAWN:
            _draw(split.images[index, ..., 0], side, rng).save(place, quality=_QUALITY)
        else:
            os.link(folder / str(split.labels[index % DRAWN]) / f"{index % DRAWN}.jpg", place)
    return folder


def copy_samples(folder: Path) -> Path:
    """Copy only the shipped tuning samples, so that evaluation does not outweigh training."""
    shutil.copytree(SAMPLES, folder, ignore=shutil.ignore_patterns("*.npz", "*.json"))
    return folder


def _draw(image: npt.NDArray[np.uint8], side: int, rng: np.random.Generator) -> Image.Image:
    grey = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
    noise = rng.normal(0, 8, (side, side, 3))
    colour = np.clip(grey[..., None] * rng.uniform(0.5, 1, 3) + noise, 0, 255)
    return Image.fromarray(colour.astype(np.uint8))
