"""Differences of words: numbers that changed little give small ones, whose high bytes are zero.

Words are numbers' bits read as whole numbers: neighbouring floats are neighbours there too. A
difference is folded (0, -1, 1, -2, … as 0, 1, 2, 3, …) and split by byte: the high bytes of all
words together compress to little.
"""

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
    width = len(planes)
    columns = [np.frombuffer(plane, np.uint8) for plane in planes]
    folded = np.stack(columns, axis=1).reshape(-1).view(_TYPES[width])
    new = np.frombuffer(old, _TYPES[width]) + _unfold(folded)
    content: bytes = new.astype(_TYPES[width]).tobytes()
    return content


def split_counts(counts: npt.NDArray[np.int32]) -> tuple[bytes, bytes]:
    """The bytes of each folded count of less than 2¹⁵, lowest first."""
    folded = _fold(counts.astype("<i2").view(_TYPES[2]))
    low, high = folded.view(np.uint8).reshape(-1, 2).T
    return np.ascontiguousarray(low).tobytes(), np.ascontiguousarray(high).tobytes()


def add_counts(old: bytes, planes: tuple[bytes, ...], exponent: int) -> bytes:
    """The new floats: the old ones and counts of steps; the inverse of `split_counts`."""
    low, high = (np.frombuffer(plane, np.uint8) for plane in planes)
    folded = np.stack([low, high], axis=1).reshape(-1).view(_TYPES[2])
    counts = _unfold(folded).astype(_TYPES[2]).view("<i2")
    content: bytes = add_steps(np.frombuffer(old, "<f4"), counts, exponent).tobytes()
    return content


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
