"""Differences of words: small changes give small differences, with high bytes of zero.

Words are the bits of numbers, read as integers; neighbouring floats are neighbours there too. A
difference is folded (0, -1, 1, -2, … become 0, 1, 2, 3, …) and split by byte, as the high bytes of
all words together compress well.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from nhle_onnx.graph.update_rounding import add_steps

Words = npt.NDArray[Any]
_TYPES: dict[int, np.dtype[Any]] = {width: np.dtype(f"<u{width}") for width in (1, 2, 4)}


def split_differences(old: bytes, new: bytes, width: int) -> tuple[bytes, ...]:
    """Split folded differences into `width` strings of bytes, lowest first."""
    was, now = (np.frombuffer(each, _TYPES[width]) for each in (old, new))
    folded = _fold(now - was)
    planes = folded.view(np.uint8).reshape(-1, width).T
    return tuple(np.ascontiguousarray(plane).tobytes() for plane in planes)


def add_differences(old: bytes, planes: tuple[bytes, ...]) -> memoryview:
    """Return the new words' bytes; the inverse of `split_differences`."""
    kind = _TYPES[len(planes)]
    return (np.frombuffer(old, kind) + _unfold(_join(planes, kind))).data.cast("B")


def split_counts(counts: npt.NDArray[np.int32]) -> tuple[bytes, bytes]:
    """Split folded counts below 2¹⁵ into bytes, lowest first."""
    folded = _fold(counts.astype("<i2").view(_TYPES[2]))
    low, high = folded.view(np.uint8).reshape(-1, 2).T
    return np.ascontiguousarray(low).tobytes(), np.ascontiguousarray(high).tobytes()


def add_counts(old: bytes, planes: tuple[bytes, ...], exponent: int) -> memoryview:
    """Add counts of steps to the old floats, and return bytes; the inverse of `split_counts`."""
    used = planes if planes[1].count(0) < len(planes[1]) else planes[:1]  # the high bytes are 0
    kind = _TYPES[len(used)]
    counts = _unfold(_join(used, kind)).view(f"<i{len(used)}")
    return add_steps(np.frombuffer(old, "<f4"), counts, exponent).data.cast("B")


def _join(planes: tuple[bytes, ...], kind: np.dtype[Any]) -> Words:
    """Join bytes, lowest first, into words."""
    words: Words = np.frombuffer(planes[0], np.uint8).astype(kind)
    for index, plane in enumerate(planes[1:], start=1):
        words |= np.frombuffer(plane, np.uint8).astype(kind) << np.array(8 * index, kind)
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


def count_common(first: bytes, second: bytes) -> int:
    """Return the length of the common beginning."""
    size = min(len(first), len(second))
    differ = np.frombuffer(first, np.uint8, size) != np.frombuffer(second, np.uint8, size)
    return int(differ.argmax()) if differ.any() else size
