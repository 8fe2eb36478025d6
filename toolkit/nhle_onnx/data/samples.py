"""Labelled samples at a path: an image folder, shards of images, or an `.npz` file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nhle_onnx.data.arrays import open_arrays
from nhle_onnx.data.folders import FolderSamples, open_folder, open_unlabelled
from nhle_onnx.data.preprocess import require_preprocess
from nhle_onnx.data.shards import find_shards, open_shards
from nhle_onnx.data.source import Array, SampleSource
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.values.preprocess import ImageInput, Preprocess

EVALUATION_FILE = "evaluation.npz"


class Format(NamedTuple):
    """A format of samples: how to recognise and how to open it.

    `open` takes the path, the model's input, the preprocessing and the labels.
    """

    matches: Callable[[Path], bool]
    open: Callable[[Path, ImageInput, Preprocess | None, Sequence[str]], SampleSource]


def _open_shards(
    path: Path, target: ImageInput, preprocess: Preprocess | None, labels: Sequence[str]
) -> SampleSource:
    shards = find_shards(path)
    if shards is None:
        message = f"{path} no longer holds shards"
        raise InputRefusedError(message, remedy="Do not change the samples while they are in use.")
    return open_shards(shards, target, require_preprocess(preprocess, path), labels)


def _open_folder(
    path: Path, target: ImageInput, preprocess: Preprocess | None, labels: Sequence[str]
) -> SampleSource:
    return open_folder(path, target, require_preprocess(preprocess, path), labels)


def _open_arrays(
    path: Path, target: ImageInput, preprocess: Preprocess | None, labels: Sequence[str]
) -> SampleSource:
    return open_arrays(path, target, preprocess, len(labels))


# The first that matches opens a path. To add one, write a file and add a row.
FORMATS: list[Format] = [
    Format(lambda path: find_shards(path) is not None, _open_shards),
    Format(Path.is_dir, _open_folder),
    Format(Path.is_file, _open_arrays),
]


def open_samples(
    path: Path, target: ImageInput, preprocess: Preprocess | None, labels: Sequence[str]
) -> SampleSource:
    """Open a folder `<class>/*.png|jpg|jpeg|webp|bmp`, tar or Parquet shards, or an `.npz` with x
    and y. Raises InputRefusedError for samples that are missing, empty, in a wrong format, or of an
    unknown class.
    """
    for each in FORMATS:
        if each.matches(path):
            return each.open(path, target, preprocess, labels)
    message = f"{path} is not a regular file" if path.exists() else f"{path} does not exist"
    raise InputRefusedError(
        message, remedy="Give a folder with one folder of images for each class, or an .npz."
    )


def open_nothing(target: ImageInput) -> SampleSource:
    """Return an empty source, where no samples are needed."""
    return FolderSamples(
        path=Path("none"),
        files=(),
        classes=np.empty(0, np.int64),
        target=target,
        preprocess=Preprocess(source="none"),
    )


def read_unlabelled(
    path: Path,
    target: ImageInput,
    preprocess: Preprocess | None,
    labels: Sequence[str],
    excluded: Sequence[int],
) -> Array:
    """Read all images of a folder at any depth, or the x of an `.npz`, as model inputs.

    Folders named after an excluded class, and samples of one, are left out.
    """
    if not path.is_dir():
        source = open_samples(path, target, preprocess, labels)
        return source.read(np.flatnonzero(~np.isin(source.classes, excluded)).tolist())
    required = require_preprocess(preprocess, path)
    folder = open_unlabelled(path, target, required, labels, excluded)
    return folder.read(range(len(folder.files)))
