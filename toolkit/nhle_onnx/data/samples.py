"""Labelled samples at a path: an image folder, shards of images, or an `.npz` file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nhle_onnx.data.arrays import open_arrays
from nhle_onnx.data.folders import LISTS, FolderSamples, open_folder, open_unlabelled
from nhle_onnx.data.metadata import find_metadata, is_saved, open_described, refuse_splits
from nhle_onnx.data.pointers import refuse_pointer
from nhle_onnx.data.preprocess import require_pictures, require_preprocess
from nhle_onnx.data.shards import find_shards, open_shards
from nhle_onnx.data.source import Array, SampleSource
from nhle_onnx.data.tree import is_any_image
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.text import suggest
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
    require_pictures(target, path)
    return open_shards(shards, target, require_preprocess(preprocess, path), labels)


def _open_folder(
    path: Path, target: ImageInput, preprocess: Preprocess | None, labels: Sequence[str]
) -> SampleSource:
    require_pictures(target, path)
    return open_folder(path, target, require_preprocess(preprocess, path), labels)


def _open_arrays(
    path: Path, target: ImageInput, preprocess: Preprocess | None, labels: Sequence[str]
) -> SampleSource:
    return open_arrays(path, target, preprocess, len(labels))


def _open_described(
    path: Path, target: ImageInput, preprocess: Preprocess | None, labels: Sequence[str]
) -> SampleSource:
    return open_described(path, target, require_preprocess(preprocess, path), labels)


def _open_saved(
    path: Path, target: ImageInput, preprocess: Preprocess | None, labels: Sequence[str]
) -> SampleSource:
    from nhle_onnx.data.saved_dataset import open_saved  # noqa: PLC0415 - pyarrow is an extra

    return open_saved(path, target, require_preprocess(preprocess, path), labels)


# The first that matches opens a path. To add one, write a file and add a row.
FORMATS: list[Format] = [
    Format(is_saved, _open_saved),
    Format(lambda path: find_metadata(path) is not None, _open_described),
    Format(lambda path: find_shards(path) is not None, _open_shards),
    Format(Path.is_dir, _open_folder),
    Format(Path.is_file, _open_arrays),
]


def open_samples(
    path: Path, target: ImageInput, preprocess: Preprocess | None, labels: Sequence[str]
) -> SampleSource:
    """Open a folder `<class>/*.png|jpg|jpeg|webp|bmp`, one with `metadata.csv` or `.jsonl`, a saved
    data set of Hugging Face, tar or Parquet shards, or an `.npz` with x and y. Raises
    InputRefusedError for samples that are missing, empty, in a wrong format, or of no known class.
    """
    if path.is_file():
        _refuse_file(path)
    refuse_splits(path)
    for each in FORMATS:
        if each.matches(path):
            return each.open(path, target, preprocess, labels)
    message = f"{path} is not a regular file" if path.exists() else f"{path} does not exist"
    near = "" if path.exists() else suggest(path.name, _list_siblings(path))
    raise InputRefusedError(
        message, remedy=f"{near}Give a folder with one folder of images for each class, or an .npz."
    )


def _list_siblings(path: Path) -> list[str]:
    try:
        return [item.name for item in path.parent.iterdir()]
    except OSError:
        return []


def _refuse_file(path: Path) -> None:
    """Refuse a pointer, or a single image, for what it is."""
    refuse_pointer(path)
    if is_any_image(path):
        remedy = "Give a folder with one folder of images for each class."
        raise InputRefusedError(f"{path} is a single image", remedy=remedy)


def open_nothing(target: ImageInput) -> SampleSource:
    """Return an empty source, where no samples are needed."""
    path, classes, preprocess = Path("none"), np.empty(0, np.int64), Preprocess(source="none")
    return FolderSamples(path=path, files=(), classes=classes, target=target, preprocess=preprocess)


def read_unlabelled(
    path: Path,
    target: ImageInput,
    preprocess: Preprocess | None,
    labels: Sequence[str],
    excluded: Sequence[int],
) -> tuple[Array, tuple[str, ...]]:
    """Read all images of a folder at any depth, or of a list, or the x of an `.npz`, as model
    inputs; and notes on what was left out.

    Folders named after an excluded class, and samples of one, are left out.
    """
    is_list = path.is_file() and path.suffix.lower() in LISTS
    is_described = path.is_dir() and (is_saved(path) or find_metadata(path) is not None)
    if is_described or (not path.is_dir() and not is_list):
        source = open_samples(path, target, preprocess, labels)
        kept = np.flatnonzero(~np.isin(source.classes, excluded)).tolist()
        return source.read(kept), source.notes
    require_pictures(target, path)
    required = require_preprocess(preprocess, path)
    folder = open_unlabelled(path, target, required, labels, excluded)
    return folder.read(range(len(folder.files))), folder.notes
