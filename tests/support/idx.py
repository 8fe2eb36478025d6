"""Data sets in the format of MNIST's publishers."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np

Pixels = np.ndarray[Any, Any]


def write_idx(path: Path, array: Pixels) -> None:
    """Numbers of 8 bits, compressed."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes(), 1))


def write_idx_split(folder: Path, split: str, images: Pixels, labels: Pixels) -> None:
    """`split` is `train` or `t10k`."""
    write_idx(folder / f"{split}-images-idx3-ubyte.gz", images)
    write_idx(folder / f"{split}-labels-idx1-ubyte.gz", labels)
