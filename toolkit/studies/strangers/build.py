"""The zoo as files: data as model inputs, and networks as ONNX, each with its recipe."""

import hashlib
import json
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from recipes.training import measure_accuracy
from studies.datasets import Dataset, Split
from studies.strangers.blocks import Shape
from studies.strangers.pictures import DATA, make_dataset
from studies.strangers.recipes import Samples, train_network
from studies.strangers.table import Exporter, Stranger

POOL = 200  # training images of each class, from which samples are drawn
_POOL_TOTAL = 20_000
_POOL_PIXELS = 2**27
_OPSET = 17


class Files(NamedTuple):
    """The files of a network."""

    folder: Path

    @property
    def model(self) -> Path:
        """The network."""
        return self.folder / "model.onnx"

    @property
    def record(self) -> Path:
        """How it was made, and how good it is; written last."""
        return self.folder / "recipe.json"


class DataFiles(NamedTuple):
    """Model inputs `x` [N, C, H, W], float32, and labels `y`, as .npz."""

    folder: Path

    @property
    def pool(self) -> Path:
        """Training images to draw samples from."""
        return self.folder / "train.npz"

    @property
    def test(self) -> Path:
        """All test images."""
        return self.folder / "test.npz"

    @property
    def pictures(self) -> Path:
        """Both splits as bytes; written last."""
        return self.folder / "pictures.npz"


def locate(stranger: Stranger, cache: Path) -> Files:
    """Return where a network is kept."""
    return Files(cache / "networks" / stranger.name)


def locate_data(name: str, cache: Path) -> DataFiles:
    """Return where a data set is kept; another definition of it has another place."""
    digest = hashlib.sha256(repr(DATA[name]).encode()).hexdigest()[:8]
    return DataFiles(cache / "data" / f"{name}.{digest}")


def is_built(stranger: Stranger, cache: Path) -> bool:
    """Whether the cache holds the network that the table describes."""
    record = locate(stranger, cache).record
    return record.is_file() and json.loads(record.read_text("utf-8"))["stranger"] == describe(
        stranger
    )


def describe(stranger: Stranger) -> dict[str, Any]:
    """Return a row of the table with its data set, as it reads after JSON."""
    row = {**asdict(stranger), "images": asdict(DATA[stranger.data])}
    described: dict[str, Any] = json.loads(json.dumps(row))
    return described


def build_stranger(stranger: Stranger, root: Path, cache: Path) -> dict[str, Any]:
    """Train, export and test; return the record."""
    dataset = open_pictures(stranger.data, root, cache)
    shape = get_shape(stranger.data)
    first = stranger.recipe.pretrained_on
    before = convert(open_pictures(first, root, cache).train, shape) if first else None
    start = time.process_time()
    train = convert(dataset.train, shape, measure_statistics(dataset))
    model = train_network(stranger.network, stranger.recipe, shape, train, before)
    seconds = time.process_time() - start
    test = convert(dataset.test, shape, measure_statistics(dataset))
    files = locate(stranger, cache)
    files.folder.mkdir(parents=True, exist_ok=True)
    export(model, test.inputs[:2], stranger.exporter, files.model)
    record = {
        "stranger": describe(stranger),
        "data": str(locate_data(stranger.data, cache).folder.relative_to(cache)),
        "accuracy": measure_accuracy(model, *test),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": round(seconds, 1),
        "sha256": hashlib.sha256(files.model.read_bytes()).hexdigest(),
        "torch": torch.__version__,
    }
    files.record.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return record


def get_shape(name: str) -> Shape:
    """Return the images and classes of a network for a data set."""
    data = DATA[name]
    return Shape(data.classes, data.channels, data.extent)


def open_pictures(name: str, root: Path, cache: Path) -> Dataset:
    """Open a data set from the cache; make it first, also as model inputs, if it is not there."""
    files = locate_data(name, cache)
    if not files.pictures.is_file():
        dataset = make_dataset(name, DATA[name], root)
        files.folder.mkdir(parents=True, exist_ok=True)
        write_inputs(dataset, files)
        np.savez(files.pictures, **_name_arrays(dataset))
    with np.load(files.pictures) as held:
        train, test = (Split(held[f"{part}_x"], held[f"{part}_y"]) for part in ("train", "test"))
    return Dataset(name, DATA[name].classes, train, test)


def write_inputs(dataset: Dataset, files: DataFiles) -> None:
    """Write test images, and the first training images of each class, as networks take them."""
    shape, statistics = get_shape(dataset.name), measure_statistics(dataset)
    room = _POOL_PIXELS // (shape.channels * shape.extent**2)
    most = max(1, min(POOL, min(_POOL_TOTAL, room) // shape.classes))
    labels = dataset.train.labels
    chosen = np.concatenate(
        [np.flatnonzero(labels == index)[:most] for index in range(shape.classes)]
    )
    pool = Split(dataset.train.images[chosen], labels[chosen])
    for split, path in ((pool, files.pool), (dataset.test, files.test)):
        inputs, expected = convert(split, shape, statistics)
        np.savez(path, x=inputs.numpy(), y=expected.numpy())


def measure_statistics(dataset: Dataset) -> tuple[float, float]:
    """Return mean and standard deviation of some training pixels, scaled to 0-1."""
    pixels = dataset.train.images[:2000]
    return float(pixels.mean() / 255), float(pixels.std() / 255)


def convert(split: Split, shape: Shape, statistics: tuple[float, float] = (0.5, 0.5)) -> Samples:
    """Turn images [N, H, W, C] into inputs [N, C, H, W] of a shape, normalised."""
    mean, std = statistics
    images = torch.from_numpy(split.images).permute(0, 3, 1, 2)
    inputs = images.float().div_(255).sub_(mean).div_(std)
    if inputs.shape[-1] != shape.extent:
        inputs = nn.functional.interpolate(inputs, size=(shape.extent,) * 2, mode="bilinear")
    expanded = inputs.expand(-1, shape.channels, -1, -1).contiguous()
    return Samples(expanded, torch.from_numpy(split.labels))


def export(model: nn.Module, example: Tensor, exporter: Exporter, path: Path) -> None:
    """Write ONNX that takes batches of any size."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about its own exporters
        if exporter == "dynamo":
            _export_newer(model, example, path)
        else:
            mode = torch.onnx.TrainingMode
            training = mode.PRESERVE if exporter == "kept" else mode.EVAL
            _export_older(model, example, path, training)


def _export_newer(model: nn.Module, example: Tensor, path: Path) -> None:
    torch.onnx.export(
        model, (example,), path, dynamo=True, external_data=False, verbose=False,
        input_names=["image"], output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )  # fmt: skip


def _export_older(
    model: nn.Module, example: Tensor, path: Path, training: torch.onnx.TrainingMode
) -> None:
    torch.onnx.export(
        model, (example,), path, dynamo=False, training=training, opset_version=_OPSET,
        input_names=["image"], output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
    )  # fmt: skip


def _name_arrays(dataset: Dataset) -> Mapping[str, Any]:
    return {
        f"{part}_{axis}": value
        for part, split in (("train", dataset.train), ("test", dataset.test))
        for axis, value in zip("xy", split, strict=True)
    }
