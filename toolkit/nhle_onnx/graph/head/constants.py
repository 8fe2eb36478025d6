"""Constants of a graph, also those that a few nodes compute, such as exp of a temperature, or half
of the number of classes.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

Values = npt.NDArray[Any]

_DEEPEST = 16
_LARGEST = 2**22  # elements: anything larger is a weight
_WRITTEN = ("value_float", "value_int", "value_floats", "value_ints")
_SAME = frozenset({"Identity", "Cast", "Dropout"})


def _divide(dividend: Values, divisor: Values) -> Values:
    """Divide; integers are rounded towards 0, as in ONNX."""
    quotient: Values = np.divide(dividend, divisor)
    is_whole = dividend.dtype.kind in "iu"
    return np.trunc(quotient).astype(dividend.dtype) if is_whole else quotient


_COMPUTED: Mapping[str, Callable[..., Values]] = {
    "Add": np.add,
    "Ceil": np.ceil,
    "Clip": lambda value, *limits: np.clip(value, *[*limits, None, None][:2]),
    "Div": _divide,
    "Equal": np.equal,
    "Exp": np.exp,
    "Floor": np.floor,
    "Greater": np.greater,
    "Less": np.less,
    "Log": np.log,
    "Max": np.maximum,
    "Min": np.minimum,
    "Mod": np.mod,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Not": np.logical_not,
    "Reciprocal": np.reciprocal,
    "Reshape": lambda value, shape: value.reshape(shape),
    "Softplus": lambda value: np.logaddexp(value, 0),
    "Sqrt": np.sqrt,
    "Squeeze": lambda value, *axes: np.squeeze(value, *[tuple(each) for each in axes]),
    "Sub": np.subtract,
    "Unsqueeze": lambda value, axes: np.expand_dims(value, tuple(axes)),
    "Where": np.where,
}


def read_constant(tensor: gs.Tensor, depth: int = 0) -> Values | None:
    """Return a tensor's values if they are the same for every image, otherwise None."""
    if isinstance(tensor, gs.Constant):
        return _load(tensor)
    if not tensor.inputs or depth > _DEEPEST:
        return None
    node = tensor.inputs[0]
    if node.op == "Constant":
        return _read_attribute(node)
    return _compute(node, depth)


def _compute(node: gs.Node, depth: int) -> Values | None:
    if node.op in _SAME:
        return read_constant(node.inputs[0], depth + 1)
    if read := _READ.get(node.op):
        return _attempt(lambda: read(node, depth + 1))
    compute = _COMPUTED.get(node.op)
    given = [read_constant(each, depth + 1) for each in node.inputs if not each.is_empty()]
    axes = node.attrs.get("axes")
    if compute is None or not given or any(each is None for each in given):
        return None
    return _attempt(lambda: np.asarray(compute(*given, *([axes] if axes is not None else []))))


def _attempt(compute: Callable[[], Values | None]) -> Values | None:
    """Compute, or return None for an invalid node, which no kernel would run either."""
    try:
        return compute()
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return None


def _concatenate(node: gs.Node, depth: int) -> Values | None:
    found = [read_constant(each, depth) for each in node.inputs]
    parts = [each for each in found if each is not None]
    axis = int(node.attrs.get("axis", 0))
    return np.concatenate(parts, axis) if len(parts) == len(found) else None


def _fill(node: gs.Node, depth: int) -> Values:
    """Return an array of one number; for an unknown shape, one that broadcasts to any."""
    value = node.attrs.get("value")
    number = np.zeros(1, np.float32) if value is None else np.asarray(value.values).reshape(1)
    return _broadcast(number, read_constant(node.inputs[0], depth))


def _expand(node: gs.Node, depth: int) -> Values | None:
    """Repeat integers, which may be extents; other numbers broadcast wherever they are used."""
    values = read_constant(node.inputs[0], depth)
    if values is None or values.dtype.kind not in "iu":
        return values
    return _broadcast(values, read_constant(node.inputs[1], depth))


def _broadcast(values: Values, shape: Values | None) -> Values:
    """Repeat values up to a shape, if it is known and not too large to be read."""
    if shape is None:
        return values
    extents = np.broadcast_shapes(values.shape, tuple(int(extent) for extent in shape))
    return np.broadcast_to(values, extents) if math.prod(extents) <= _LARGEST else values


def _tile(node: gs.Node, depth: int) -> Values | None:
    values, repeats = (read_constant(each, depth) for each in node.inputs)
    if values is None or repeats is None or not 0 < values.size * np.prod(repeats) <= _LARGEST:
        return None
    return np.tile(values, repeats)


def _gather(node: gs.Node, depth: int) -> Values | None:
    """Return some of a constant's elements, or of a shape's extents; None if one is unknown."""
    indices = read_constant(node.inputs[1], depth)
    source = node.inputs[0].inputs[0] if node.inputs[0].inputs else None
    if indices is None:
        return None
    if source is None or source.op != "Shape":
        values = read_constant(node.inputs[0], depth)
        axis = int(node.attrs.get("axis", 0))
        return None if values is None else np.take(values, indices.astype(np.int64), axis)
    extents = _list_extents(source)
    return _read_extents([extents[index] for index in indices.ravel()], indices.shape)


def _measure(node: gs.Node, _depth: int) -> Values | None:
    extents = _list_extents(node)
    return _read_extents(extents, (len(extents),)) if extents else None


def _list_extents(node: gs.Node) -> Sequence[object]:
    """List the extents that a Shape node gives, some of them open; empty if the rank is unknown."""
    first, last = (node.attrs.get(name) for name in ("start", "end"))
    return (node.inputs[0].shape or ())[first:last]


def _read_extents(extents: Sequence[object], shape: Sequence[int]) -> Values | None:
    known = [extent for extent in extents if isinstance(extent, int) and extent > 0]
    return np.array(known, np.int64).reshape(shape) if len(known) == len(extents) else None


_READ: Mapping[str, Callable[[gs.Node, int], Values | None]] = {
    "Concat": _concatenate,
    "ConstantOfShape": _fill,
    "Expand": _expand,
    "Gather": _gather,
    "Shape": _measure,
    "Tile": _tile,
}


def read_integers(
    node: gs.Node, attribute: str, position: int, absent: tuple[int, ...] | None = None
) -> tuple[int, ...] | None:
    """Return integers that are an attribute in older operator sets and the input at `position` in
    newer ones: `absent` if the node has neither, None if they are not constant.
    """
    if attribute in node.attrs:
        return tuple(int(each) for each in np.atleast_1d(node.attrs[attribute]))
    if position >= len(node.inputs) or node.inputs[position].is_empty():
        return absent
    values = read_constant(node.inputs[position])
    return None if values is None else tuple(int(each) for each in values.ravel())


def _read_attribute(node: gs.Node) -> Values | None:
    value = node.attrs.get("value")
    if isinstance(value, gs.Constant):
        return _load(value)
    found = [node.attrs[name] for name in _WRITTEN if name in node.attrs]
    return np.asarray(found[0]) if found else None


def _load(tensor: gs.Constant) -> Values | None:
    if np.prod(tensor.shape, dtype=np.int64) > _LARGEST:
        return None
    values: Values = np.asarray(tensor.values)
    return values


def is_constant(tensor: gs.Tensor) -> bool:
    """Whether a tensor's values are known without running the graph."""
    return read_constant(tensor) is not None
