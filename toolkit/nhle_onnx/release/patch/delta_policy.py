"""Which parts of a tensor may be stored as differences, and which only as new values.

With the edited model, a difference reveals the old value. So nothing of a masked class is stored as
a difference.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper

from nhle_onnx.graph.update_rounding import find_steps
from nhle_onnx.release.patch.layout import Stored

_MATRIX_RANK = 2
_MOST = 0.5
_MOST_ROWS = 2048  # that are compared with each other
_FEWEST_NUMBERS = 3
_PARALLEL = 1 - 1e-6  # float16 rounds by less
FEW = 0.25  # of a tensor's rows, or a vector's numbers; above that, all are one run


def split_rows(tensor: Stored, old: bytes, new: bytes) -> list[tuple[int, int]]:
    """Split a tensor into runs of bytes with one encoding: rows along the first axis. A vector is
    split by number, as the bias of a masked class stands beside others.
    """
    count = tensor.shape[0] if tensor.shape else 1
    if _has_masked_column(tensor, old, new):
        count = 1
    if len(tensor.shape) == 1:
        changed = (_read_words(tensor, old) != _read_words(tensor, new)).mean()
        count = count if changed < FEW else 1
    if count < 1 or tensor.size % count:
        count = 1
    size = tensor.size // count
    return [(start, start + size) for start in range(0, tensor.size, size)]


def find_exponent(
    tensor: Stored, old: bytes, new: bytes, rows: Sequence[tuple[int, int]]
) -> int | None:
    """Find the step of all floats that may be stored as differences, if there is one."""
    if tensor.kind != TensorProto.FLOAT:
        return None
    parts = [(old[start:end], new[start:end]) for start, end in rows]
    twins = find_twins(tensor, new, rows)
    told = [part for part in parts if part[0] == part[1] or may_differ(tensor, *part, rows, twins)]
    if not told:
        return None
    was, now = (np.frombuffer(b"".join(each), "<f4") for each in zip(*told, strict=True))
    steps = find_steps(was, now)
    return None if steps is None else steps[1]


def _read_words(tensor: Stored, content: bytes) -> np.ndarray:
    return np.frombuffer(content, f"<u{tensor.width}")


def _has_masked_column(tensor: Stored, old: bytes, new: bytes) -> bool:
    """Whether a class along the last axis was masked: most of its column changed, to a single value
    or to another class's column. If a row was masked instead, a column may be constant by chance,
    but few of its numbers changed.
    """
    if len(tensor.shape) != _MATRIX_RANK or tensor.size != tensor.width * np.prod(tensor.shape):
        return False
    was, now = (_read_words(tensor, each).reshape(tensor.shape) for each in (old, new))
    has_changed = (was != now).mean(0) > _MOST
    if not has_changed.any():
        return False
    _, places, counts = np.unique(now, axis=1, return_inverse=True, return_counts=True)
    is_masked = (now == now[:1]).all(0) | (counts[places.ravel()] > 1)
    is_masked |= _are_parallel(tensor, now.T)
    return bool((is_masked & has_changed).any())


def find_twins(tensor: Stored, new: bytes, rows: Sequence[tuple[int, int]]) -> frozenset[bytes]:
    """Find the rows that a tensor holds more than once, or a multiple of: a masked class may have
    another's row.
    """
    contents = [new[start:end] for start, end in rows]
    counts = Counter(contents)
    twins = {row for row, count in counts.items() if count > 1}
    if len({len(row) for row in contents}) == 1:
        words = _read_words(tensor, new).reshape(len(rows), -1)
        is_parallel = _are_parallel(tensor, words)
        twins |= {row for row, found in zip(contents, is_parallel, strict=True) if found}
    return frozenset(twins)


def _are_parallel(tensor: Stored, words: np.ndarray) -> npt.NDArray[np.bool_]:
    """Whether each row of floats is another one times a number."""
    kind = helper.tensor_dtype_to_np_dtype(tensor.kind)
    if kind.kind in "iu" or not 1 < len(words) <= _MOST_ROWS or words.shape[1] < _FEWEST_NUMBERS:
        return np.zeros(len(words), bool)
    values = np.ascontiguousarray(words).view(kind).astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        lengths = np.linalg.norm(values, axis=1, keepdims=True)
        units = values / np.where(lengths > 0, lengths, 1)
        likeness = np.abs(units @ units.T)
    np.fill_diagonal(likeness, 0)
    found: npt.NDArray[np.bool_] = np.asarray((likeness > _PARALLEL).any(1))
    return found


def may_differ(
    tensor: Stored,
    was: bytes,
    now: bytes,
    rows: Sequence[tuple[int, int]],
    twins: frozenset[bytes] = frozenset(),
) -> bool:
    """Whether differences reveal nothing about a masked class. With the new values, differences
    reveal the old ones. So parts that became constant, zero, or one of `twins` are stored as new
    values.
    """
    if len(tensor.shape) < _MATRIX_RANK:
        return False
    old, new = _read_words(tensor, was), _read_words(tensor, now)
    if was == now:
        return True
    if now in twins:
        return False
    if (new == new[0]).all() or (len(rows) == 1 and _has_masked_column(tensor, was, now)):
        return False
    is_float = helper.tensor_dtype_to_np_dtype(tensor.kind).kind not in "iu"
    return not (is_float and ((new == 0) & (old != 0)).any())
