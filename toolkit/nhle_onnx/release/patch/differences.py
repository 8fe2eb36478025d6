"""Differences of words: numbers that changed little give small ones, whose high bytes are zero.

Words are numbers' bits read as whole numbers: neighbouring floats are neighbours there too. A
difference is folded (0, -1, 1, -2, … as 0, 1, 2, 3, …) and split by byte: the high bytes of all
words together compress to little.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from nhle_onnx.graph.steps import add_steps

Words = npt.NDArray[Any]
_TYPES: dict[int, np.dtype[Any]] = {width: np.dtype(f"<u{width}") for width in (1, 2, 4)}


def split_differences(old: bytes, new: bytes, width: int) -> tuple[bytes, ...]:
    """The bytes of each folded difference, lowest first, as `width` strings."""
    was, now = (np.frombuffer(each, _TYPES[width]) for each in (old, new))
    folded = _fold(now - was)
    planes = folded.view(np.uint8).reshape(-1, width).T
    return tuple(np.ascontiguousarray(plane).tobytes() for plane in planes)


def add_differences(old: bytes, planes: tuple[bytes, ...]) -> bytes:
    """The new words; the inverse of `split_differences`."""
    kind = _TYPES[len(planes)]
    new = np.frombuffer(old, kind) + _unfold(_join(planes, kind))
    content: bytes = new.astype(kind, copy=False).tobytes()
    return content


def split_counts(counts: npt.NDArray[np.int32]) -> tuple[bytes, bytes]:
    """The bytes of each folded count of less than 2¹⁵, lowest first."""
    folded = _fold(counts.astype("<i2").view(_TYPES[2]))
    low, high = folded.view(np.uint8).reshape(-1, 2).T
    return np.ascontiguousarray(low).tobytes(), np.ascontiguousarray(high).tobytes()


def add_counts(old: bytes, planes: tuple[bytes, ...], exponent: int) -> bytes:
    """The new floats: the old ones and counts of steps; the inverse of `split_counts`."""
    moves = _list_moves(exponent)[_join(planes, _TYPES[2])]
    content: bytes = (np.frombuffer(old, "<f4") + moves).tobytes()
    return content


@lru_cache(maxsize=8)
def _list_moves(exponent: int) -> npt.NDArray[np.float32]:
    """What each folded count adds: looked up, that is several times faster than computed."""
    counts = _unfold(np.arange(2**16, dtype=_TYPES[2])).view("<i2")
    return add_steps(np.zeros(2**16, np.float32), counts, exponent)


def _join(planes: tuple[bytes, ...], kind: np.dtype[Any]) -> Words:
    """Words of their bytes, lowest first."""
    words: Words = np.frombuffer(planes[0], np.uint8).astype(kind)
    for index, plane in enumerate(planes[1:], start=1):
        if plane.count(0) < len(plane):  # high bytes mostly are zero
            shift = np.array(8 * index, kind)
            words |= np.frombuffer(plane, np.uint8).astype(kind) << shift
    return words


def _fold(difference: Words) -> Words:
    top = np.array(8 * difference.itemsize - 1, difference.dtype)
    is_negative = difference >> top
    sign = np.zeros_like(difference) - is_negative  # all bits, or none
    folded: Words = (difference << np.array(1, difference.dtype)) ^ sign
    return folded


def _unfold(folded: Words) -> Words:
    one = np.array(1, folded.dtype)
    sign = np.zeros_like(folded) - (folded & one)
    difference: Words = (folded >> one) ^ sign
    return difference
