"""Numbers of a few bits that MatMulNBits packs into bytes: row by row, the lowest bits first."""

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.generic]
_BYTE = 8
PACKED_BITS = frozenset({2, 4, 8})


def unpack(stored: Numbers, bits: int, width: int) -> npt.NDArray[np.float64]:
    """Return rows [N, width] of the numbers in bytes [N, ...]."""
    content = stored.reshape(len(stored), -1, 1).astype(np.uint8)
    numbers = (content >> np.arange(0, _BYTE, bits, dtype=np.uint8)) & (2**bits - 1)
    rows: npt.NDArray[np.float64] = numbers.reshape(len(stored), -1)[:, :width].astype(np.float64)
    return rows


def pack(numbers: Numbers, bits: int, stored: Numbers) -> npt.NDArray[np.float64]:
    """Return the bytes of rows [N, width] in the shape of `stored`, whose padding stays."""
    size = stored[0].size * _BYTE // bits
    rows = unpack(stored, bits, size).astype(np.uint8)
    rows[:, : numbers.shape[1]] = numbers
    shifts = np.arange(0, _BYTE, bits, dtype=np.uint8)
    content = (rows.reshape(len(rows), -1, _BYTE // bits) << shifts).sum(-1, dtype=np.uint8)
    packed: npt.NDArray[np.float64] = content.reshape(stored.shape).astype(np.float64)
    return packed
