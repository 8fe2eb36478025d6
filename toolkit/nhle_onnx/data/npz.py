"""Arrays in an `.npz`, read row by row, so that memory does not depend on the declared size."""

import os
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.regular_files import open_regular

_DAMAGE = (
    OSError, ValueError, KeyError, EOFError, RuntimeError, SyntaxError, tokenize.TokenError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
# What NumPy writes; zipfile reads other methods without a size limit.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class NpzArray:
    """One array of an `.npz`; only its header was read. Its rows lie one after another."""

    path: Path
    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        """Size of one row."""
        return prod(self.shape[1:]) * self.dtype.itemsize

    def read_rows(self, pieces: Iterable[Sequence[int]]) -> Iterator[npt.NDArray[Any]]:
        """Read the rows of each piece in one pass over the file; indices must strictly ascend.

        Raises InputRefusedError where the file is damaged.
        """
        with _open_member(self.path, self.name) as (member, _):
            _read_header(member)
            position = 0
            for piece in pieces:
                chosen = np.asarray(piece)
                rows = np.empty((len(chosen), *self.shape[1:]), self.dtype)
                for run in _split_runs(chosen):
                    first = int(chosen[run.start])
                    member.seek((first - position) * self.row_bytes, os.SEEK_CUR)
                    _read_into(member, rows[run])
                    position = first + run.stop - run.start
                yield rows


def open_array(path: Path, name: str) -> NpzArray:
    """Find an array by its name, and check that the file is as large as its header declares. Raises
    InputRefusedError for a missing or invalid array, and for Python objects, which are never
    unpickled.
    """
    with _open_member(path, name) as (member, size):
        shape, is_fortran, dtype = _read_header(member)
        if dtype.hasobject:
            raise ValueError(f"{name} holds Python objects, which are not read")
        if min(shape, default=0) < 0 or member.tell() + prod(shape) * dtype.itemsize != size:
            message = f"{name} declares {dtype} of shape {list(shape)}, which does not fit its size"
            raise ValueError(message)
        if is_fortran:
            message = f"{name} is stored column by column: save numpy.ascontiguousarray({name})"
            raise ValueError(message)
    return NpzArray(path=path, name=name, dtype=dtype, shape=shape)


@contextmanager
def _open_member(path: Path, name: str) -> Iterator[tuple[IO[bytes], int]]:
    """Open an array's file in the archive, with its size; any failure is an InputRefusedError."""
    try:
        with open_regular(path) as stream, zipfile.ZipFile(stream) as archive:
            found = _find_member(archive, f"{name}.npy")
            with archive.open(found) as member:
                yield member, found.file_size
    except _DAMAGE as error:
        reason = str(error) or type(error).__name__
        message = f"{path} is not a readable .npz with x and y: {reason}"
        raise InputRefusedError(
            message, remedy="Write it again with numpy.savez(FILE, x=..., y=...)."
        ) from error


def _find_member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    found = [item for item in archive.infolist() if item.filename == name]
    if len(found) != 1:
        raise ValueError(f"it holds {name} {len(found)} times")
    if found[0].compress_type not in _METHODS:
        raise ValueError(f"{name} is compressed in a way that NumPy does not write")
    return found[0]


def _read_header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read shape, order and type. Later versions of the format only add named fields."""
    version = np.lib.format.read_magic(member)
    if version != (1, 0):
        raise ValueError(f"arrays of version {version} of the format are not read")
    return np.lib.format.read_array_header_1_0(member)


def _split_runs(indices: npt.NDArray[np.int64]) -> Iterator[slice]:
    """Split indices into runs of consecutive ones, by position."""
    edges = [0, *(np.flatnonzero(np.diff(indices) != 1) + 1).tolist(), len(indices)]
    return map(slice, edges[:-1], edges[1:])


def _read_into(member: IO[bytes], rows: npt.NDArray[Any]) -> None:
    content = rows.reshape(-1).view(np.uint8)
    read = member.readinto(content)  # type: ignore[attr-defined]
    if read != len(content):
        raise EOFError("it is cut short")
