"""Labelled samples of a path: an image folder, shards of images, or an `.npz` file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nhle_onnx.data.arrays import open_arrays
from nhle_onnx.data.folders import FolderSamples, open_folder, open_unlabelled
from nhle_onnx.data.preprocess import require_preprocess
from nhle_onnx.data.shards import find_shards, open_shards
from nhle_onnx.data.source import Array, SampleSource
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.values.preprocess import ImageInput, Preprocess

EVALUATION_FILE = "evaluation.npz"


def open_samples(
    path: Path, target: ImageInput, preprocess: Preprocess | None, labels: Sequence[str]
) -> SampleSource:
    """Samples of a folder `<class>/*.png|jpg|jpeg|webp|bmp`, of tar or Parquet shards, or of an
    `.npz` with x and y.

    Raises InputRefusedError for what is missing, empty, of the wrong form, or of no known class.
    """
    shards = find_shards(path)
    if shards:
        return open_shards(shards, target, require_preprocess(preprocess, path), labels)
    if path.is_dir():
        return open_folder(path, target, require_preprocess(preprocess, path), labels)
    if path.is_file():
        return open_arrays(path, target, preprocess, len(labels))
    message = f"{path} is no regular file" if path.exists() else f"{path} does not exist"
    raise InputRefusedError(message, remedy="Give an image folder, one folder a class, or an .npz.")


def open_nothing(target: ImageInput) -> SampleSource:
    """No samples, where none are needed."""
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
    """All images of a folder at any depth, or the x of an `.npz`, as model inputs.

    Folders named after an excluded class, and samples of one, are left out.
    """
    if not path.is_dir():
        source = open_samples(path, target, preprocess, labels)
        return source.read(np.flatnonzero(~np.isin(source.classes, excluded)).tolist())
    required = require_preprocess(preprocess, path)
    folder = open_unlabelled(path, target, required, labels, excluded)
    return folder.read(range(len(folder.files)))
