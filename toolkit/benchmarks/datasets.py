"""The data sets of the paper, read from a local folder in their official file formats."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recipes.idx import read_split


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
    """The files are not in the folder; the message names what was looked for."""


def load_dataset(name: str, root: Path) -> Dataset:
    """Read a data set from `root`/NAME. Raises DatasetMissingError where files are missing."""
    try:
        return LOADERS[name](name, root / name)
    except FileNotFoundError as error:
        message = f"{name}: no {error.filename}"
        raise DatasetMissingError(message) from error


def _load_idx(name: str, folder: Path) -> Dataset:
    train, test = (
        Split(split.images[..., None], split.labels.astype(np.int64))
        for split in (read_split(folder, "train"), read_split(folder, "t10k"))
    )
    return Dataset(name, 10, train, test)


LOADERS: Mapping[str, Callable[[str, Path], Dataset]] = {
    "mnist": _load_idx,
    "fashion_mnist": _load_idx,
}
