"""What the programs share: each makes the files of one network, `FORMAT.onnx` for each format.

    python PROGRAM.py NETWORK GIVEN OUT

`GIVEN` is what the files are made from: the data set, a network's folder, or an ONNX file. Where a
format cannot be made, `FORMAT.txt` says why.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

CLASSES = 10
Writers = Mapping[str, Callable[[Path], object]]


class Data(NamedTuple):
    """Training images [N, 32, 32], normalised, and their labels [N]."""

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


def read_data(path: Path) -> Data:
    """Read the data set."""
    with np.load(path) as held:
        return Data(held["x"], held["y"])


def make_files(list_writers: Callable[[str, Path], Writers]) -> None:
    """Run as a program."""
    network, given, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    for name, write in list_writers(network, given).items():
        path = out / f"{name}.onnx"
        try:
            write(path)
        except Exception as error:  # noqa: BLE001 - any error of an exporter is its result
            path.unlink(missing_ok=True)
            path.with_suffix(".txt").write_text(describe(error), "utf-8")


def describe(error: Exception) -> str:
    """Return the type and the first line of an error."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"
