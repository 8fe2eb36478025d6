"""Constants of a graph, also where a few nodes compute them, such as exp of a temperature."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

Values = npt.NDArray[Any]

_DEEPEST = 16
_LARGEST = 2**22  # elements: anything larger is a weight
_WRITTEN = ("value_float", "value_int", "value_floats", "value_ints")
_SAME = frozenset({"Identity", "Cast", "Expand", "Dropout"})
_COMPUTED: Mapping[str, Callable[..., Values]] = {
    "Add": np.add,
    "Clip": lambda value, *limits: np.clip(value, *[*limits, None, None][:2]),
    "Div": np.divide,
    "Exp": np.exp,
    "Log": np.log,
    "Max": np.maximum,
    "Min": np.minimum,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Reciprocal": np.reciprocal,
    "Reshape": lambda value, shape: value.reshape(shape),
    "Softplus": lambda value: np.logaddexp(value, 0),
    "Sqrt": np.sqrt,
    "Squeeze": lambda value, *axes: np.squeeze(value, *[tuple(each) for each in axes]),
    "Sub": np.subtract,
    "Unsqueeze": lambda value, axes: np.expand_dims(value, tuple(axes)),
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
    compute = _COMPUTED.get(node.op)
    given = [read_constant(each, depth + 1) for each in node.inputs if not each.is_empty()]
    axes = node.attrs.get("axes")
    if compute is None or not given or any(each is None for each in given):
        return None
    try:
        return np.asarray(compute(*given, *([axes] if axes is not None else [])))
    except (ValueError, TypeError, ZeroDivisionError):  # a node that no kernel would run either
        return None


def read_integers(node: gs.Node, attribute: str, position: int) -> tuple[int, ...] | None:
    """Return an operator's whole numbers: an attribute in older operator sets, or an input."""
    if attribute in node.attrs:
        return tuple(int(each) for each in np.atleast_1d(node.attrs[attribute]))
    if position >= len(node.inputs) or node.inputs[position].is_empty():
        return None
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
