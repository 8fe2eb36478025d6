"""The IDX file format of MNIST and Fashion-MNIST."""

import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_UNSIGNED_BYTE = 0x08


class Split(NamedTuple):
    """Images [N, H, W] and labels [N], in file order."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """The array of a gzipped IDX file of unsigned bytes."""
    content = gzip.decompress(path.read_bytes())
    if content[:3] != bytes([0, 0, _UNSIGNED_BYTE]):
        message = f"{path} is not an IDX file of unsigned bytes"
        raise ValueError(message)
    rank = content[3]
    shape = np.frombuffer(content, ">u4", count=rank, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def read_split(root: Path, name: str) -> Split:
    """The `train` or `t10k` split in a folder of IDX files."""
    return Split(
        read_idx(root / f"{name}-images-idx3-ubyte.gz"),
        read_idx(root / f"{name}-labels-idx1-ubyte.gz"),
    )
