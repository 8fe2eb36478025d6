"""The data sets of the paper, read from a local folder in their official file formats."""

import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.io import loadmat, matlab

from recipes.idx import read_idx

EXTENT = 32  # of the colour images
SVHN_ZERO = 10  # SVHN's label of digit 0
# What the readers raise for a truncated file or another format.
_DAMAGE = (
    EOFError,
    IndexError,
    KeyError,
    OSError,
    TypeError,
    ValueError,
    NotImplementedError,
    struct.error,
    zlib.error,
    matlab.MatReadError,
)


class Split(NamedTuple):
    """Images [N, H, W, C] and labels [N], in file order."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


class Dataset(NamedTuple):
    """A data set of `num_classes`, as its publishers split it."""

    name: str
    num_classes: int
    train: Split
    test: Split


class DatasetMissingError(Exception):
    """The files are not in the folder; the message names them."""


class DatasetDamagedError(Exception):
    """A file is truncated or has another format; the message names it."""


def load_dataset(name: str, root: Path) -> Dataset:
    """Read a data set from its folder in `root`, see FOLDERS.

    Raises DatasetMissingError where files are missing, DatasetDamagedError where one is unusable.
    """
    folders = [root / folder for folder in FOLDERS[name]]
    folder = next((folder for folder in folders if folder.is_dir()), folders[0])
    try:
        dataset = LOADERS[name](name, folder)
    except FileNotFoundError as error:
        message = f"{name}: no {error.filename}"
        raise DatasetMissingError(message) from error
    for split, part in ((dataset.train, "training"), (dataset.test, "test")):
        _check(split, dataset.num_classes, f"the {part} files in {folder}")
    return dataset


def _load_idx(name: str, folder: Path) -> Dataset:
    return Dataset(name, 10, _read_idx_split(folder, "train"), _read_idx_split(folder, "t10k"))


def _read_idx_split(folder: Path, name: str) -> Split:
    images, labels = (
        _read(folder / f"{name}-{part}-ubyte.gz", read_idx)
        for part in ("images-idx3", "labels-idx1")
    )
    return Split(images[..., None], labels.astype(np.int64))


def _load_svhn(name: str, folder: Path) -> Dataset:
    """Read format 2, cropped digits (http://ufldl.stanford.edu/housenumbers)."""
    train, test = (_read(folder / f"{part}_32x32.mat", _parse_svhn) for part in ("train", "test"))
    return Dataset(name, 10, train, test)


def _parse_svhn(path: Path) -> Split:
    """Parse `X` [32, 32, 3, N] and `y` [N, 1]."""
    with path.open("rb") as file:  # given a path, loadmat reports what is missing less clearly
        content = loadmat(file)
    images = np.ascontiguousarray(content["X"].transpose(3, 0, 1, 2))
    labels = content["y"].ravel().astype(np.int64)
    return Split(images, np.where(labels == SVHN_ZERO, 0, labels))


def _load_cifar10(name: str, folder: Path) -> Dataset:
    """Read the binary version (https://www.cs.toronto.edu/~kriz/cifar.html): 1 label byte."""
    parts = [
        _read(folder / f"data_batch_{index}.bin", lambda path: _parse_cifar(path, labels=1))
        for index in range(1, 6)
    ]
    train = Split(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    test = _read(folder / "test_batch.bin", lambda path: _parse_cifar(path, labels=1))
    return Dataset(name, 10, train, test)


def _load_cifar100(name: str, folder: Path) -> Dataset:
    """Read the binary version: a coarse and a fine label byte a record; the fine one counts."""
    train, test = (
        _read(folder / f"{part}.bin", lambda path: _parse_cifar(path, labels=2))
        for part in ("train", "test")
    )
    return Dataset(name, 100, train, test)


def _parse_cifar(path: Path, *, labels: int) -> Split:
    """Parse records of `labels` label bytes, of which the last is used, and three colour planes."""
    size = labels + 3 * EXTENT * EXTENT
    content = path.read_bytes()
    records = np.frombuffer(content, np.uint8).reshape(len(content) // size or 1, size)
    planes = records[:, labels:].reshape(-1, 3, EXTENT, EXTENT)
    return Split(
        np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, labels - 1].astype(np.int64)
    )


def _check(split: Split, num_classes: int, place: str) -> None:
    if len(split.images) != len(split.labels):
        message = f"{place} hold {len(split.images)} images and {len(split.labels)} labels"
        raise DatasetDamagedError(message)
    if not np.isin(split.labels, range(num_classes)).all():
        message = f"{place} hold labels outside 0 to {num_classes - 1}"
        raise DatasetDamagedError(message)


def _read(path: Path, parse: Callable[[Path], Any]) -> Any:  # noqa: ANN401 - what `parse` returns
    """Parse a file, with errors that name the file."""
    try:
        return parse(path)
    except FileNotFoundError:
        raise
    except _DAMAGE as error:
        message = f"{path} is damaged, or of another format: {error}"
        raise DatasetDamagedError(message) from error


LOADERS: Mapping[str, Callable[[str, Path], Dataset]] = {
    "mnist": _load_idx,
    "fashion_mnist": _load_idx,
    "svhn": _load_svhn,
    "cifar10": _load_cifar10,
    "cifar100": _load_cifar100,
}
# Names in use for each data set's folder, the archive's own first.
FOLDERS: Mapping[str, tuple[str, ...]] = {
    "mnist": ("mnist",),
    "fashion_mnist": ("fashion_mnist",),
    "svhn": ("svhn",),
    "cifar10": ("cifar-10-batches-bin", "cifar10"),
    "cifar100": ("cifar-100-binary", "cifar100"),
}
