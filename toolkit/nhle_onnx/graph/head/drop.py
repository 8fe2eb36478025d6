"""Taking the rows of classes out of a head, so that the model has fewer outputs."""

import ast
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, checker, numpy_helper

from nhle_onnx.errors import UnsupportedModelError, first_line
from nhle_onnx.graph.head.row_scales import list_class_scales
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.subgraph import list_behind
from nhle_onnx.graph.tensors import MAX_PROTO_BYTES, measure_bytes
from nhle_onnx.hints import hint
from nhle_onnx.text import describe_node
from nhle_onnx.values.model import ClassifierHead

Values = npt.NDArray[np.generic]
_REMEDY = hint("Give {mask=convex}, which keeps the number of outputs.")
_MAX_NAMES = 2**20
_MIN_CLASSES = 2
# Operators that compute as many scores as they are given.
_OF_ANY_COUNT = frozenset(
    {
        "Abs", "Add", "ArgMax", "AveragePool", "Cast", "Celu", "Clip", "DequantizeLinear", "Div",
        "Dropout", "Elu", "Erf", "Exp", "Flatten", "GlobalAveragePool", "GlobalMaxPool",
        "HardSigmoid", "Hardmax", "Identity", "LeakyRelu", "Log", "LogSoftmax", "LpNormalization",
        "MaxPool", "Mean", "Mul", "Neg", "QLinearAveragePool", "QLinearGlobalAveragePool",
        "QLinearSigmoid", "QLinearSoftmax", "QuantizeLinear", "ReduceL1", "ReduceL2",
        "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Relu", "Reshape",
        "Selu", "Sigmoid", "Softmax", "Softplus", "Softsign", "Sqrt", "Squeeze", "Sub", "Sum",
        "Tanh", "TopK", "Transpose", "Unsqueeze",
    }
)  # fmt: skip
_NAMES = "names"  # in the metadata, as Ultralytics writes them


def drop_classes(proto: ModelProto, head: ClassifierHead, classes: Sequence[int]) -> None:
    """Take the rows of some classes out of a head, in place: weights, biases and scales, the
    extents that are declared behind it, and the classes' names in the metadata.

    Raises UnsupportedModelError where a later node needs the number of classes.
    """
    count = head.num_classes
    if count - len(classes) < _MIN_CLASSES:
        message = "a single class would be left, which leaves nothing to choose"
        raise UnsupportedModelError(message, remedy=_REMEDY)
    if any(part.rows or len(part.row_scales) > 1 for part in head.all_parts):
        message = "nodes around the head choose among its classes, or scale each differently"
        raise UnsupportedModelError(message, remedy=_REMEDY)
    index = GraphIndex(proto)
    own = _find_own_tensors(index, head)
    _check_readers(proto, head, own)
    behind = list_behind(proto.graph, {part.logits for part in head.all_parts})
    for node in proto.graph.node:
        if not behind.isdisjoint(node.input):
            _check_node(index, node, count, count - len(classes))
    resized = list_behind(proto.graph, {*own})
    for name, axis in own.items():
        tensor = index.tensors[name]
        kept = _cut(numpy_helper.to_array(tensor), classes, axis, count)
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(kept), tensor.name))
    _count_packed(proto, resized, count - len(classes))
    _declare(proto, resized, {*own}, count, count - len(classes))
    _rename(proto, classes, count)
    _check(proto)


def _find_own_tensors(index: GraphIndex, head: ClassifierHead) -> dict[str, int]:
    """Return the axis that counts classes for each tensor with numbers for each class, by name."""
    own: dict[str, int] = {}
    for part in head.all_parts:
        own[part.weight] = part.class_axis
        if part.bias is not None:
            own.setdefault(part.bias, [*index.tensors[part.bias].dims].index(part.num_classes))
        for name, axis in list_class_scales(index, part):
            own.setdefault(name, axis)
    return own


def _cut(values: Values, classes: Sequence[int], axis: int, count: int) -> Values:
    """Take the numbers of some classes out of a tensor. Its axis counts classes, or blocks: all
    blocks of the first class, then those of the next.
    """
    if values.shape[axis] == count:
        return np.delete(values, [*classes], axis)
    return np.delete(values.reshape(count, -1), [*classes], 0).ravel()


def _count_packed(proto: ModelProto, resized: set[str], left: int) -> None:
    """Write the new number of rows where an operator states it in an attribute."""
    for node in proto.graph.node:
        if node.op_type == "MatMulNBits" and node.input[1] in resized:
            (rows,) = (each for each in node.attribute if each.name == "N")
            rows.i = left


def _check_readers(proto: ModelProto, head: ClassifierHead, own: Mapping[str, int]) -> None:
    """Raise UnsupportedModelError where another layer reads a tensor of the head as well."""
    layers = _list_before(proto, {part.logits for part in head.all_parts}, {*own})
    for node in proto.graph.node:
        shared = {*own} & {*node.input}
        if shared and layers.isdisjoint(node.output):
            message = f"{min(shared)} is read by {_name(node)} as well, which needs its size"
            raise UnsupportedModelError(message, remedy=_REMEDY)


def _list_before(proto: ModelProto, ends: set[str], sources: set[str]) -> set[str]:
    """List the results on the way from `sources` to `ends`."""
    behind, before = list_behind(proto.graph, sources), set(ends)
    for node in reversed(proto.graph.node):
        before |= {*node.input} if before & {*node.output} else set()
    return behind & before


def _check_node(index: GraphIndex, node: NodeProto, count: int, left: int) -> None:
    """Raise UnsupportedModelError if a node behind the head needs the number of classes."""
    reason = "" if node.op_type in _OF_ANY_COUNT else "may need"
    for name in node.input[1:] if len(node.input) else ():
        tensor = index.tensors.get(name)
        if tensor is None:
            continue
        is_count = node.op_type == "Reshape" and count in numpy_helper.to_array(tensor)
        is_excess = node.op_type == "TopK" and numpy_helper.to_array(tensor).max() > left
        if count in tensor.dims or is_count or is_excess:
            reason = "needs"
    if reason:
        raise UnsupportedModelError(f"{_name(node)} {reason} all {count} classes", remedy=_REMEDY)


def _name(node: NodeProto) -> str:
    return describe_node(node.op_type, node.name, node.output)


def _declare(proto: ModelProto, behind: set[str], own: set[str], count: int, left: int) -> None:
    """Write the new extents of outputs and of weights that are inputs; drop other declarations."""
    graph = proto.graph
    for value in [value for value in graph.value_info if value.name in behind]:
        graph.value_info.remove(value)
    for value in (*graph.output, *graph.input):
        if value.name in behind:
            axes = value.type.tensor_type.shape.dim
            found = [axis for axis in axes[value.name not in own :] if axis.dim_value == count]
            for axis in found[:1]:
                axis.dim_value = left


def _rename(proto: ModelProto, classes: Sequence[int], count: int) -> None:
    """Take the names of the classes out of the metadata."""
    for entry in proto.metadata_props:
        if entry.key != _NAMES or len(entry.value) > _MAX_NAMES:
            continue
        try:
            names = ast.literal_eval(entry.value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        listed = [names[key] for key in sorted(names)] if isinstance(names, dict) else names
        if isinstance(listed, list) and len(listed) == count:
            kept = [name for index, name in enumerate(listed) if index not in classes]
            entry.value = repr(dict(enumerate(kept)) if isinstance(names, dict) else kept)


def _check(proto: ModelProto) -> None:
    """Raise UnsupportedModelError if the smaller model contradicts itself."""
    if measure_bytes(proto) > MAX_PROTO_BYTES:
        return  # ONNX Runtime checks it when it is measured
    try:
        checker.check_model(proto, full_check=True)
    except Exception as error:  # its errors share no public base class
        message = f"the model is not valid without the class: {first_line(error)}"
        raise UnsupportedModelError(message, remedy=_REMEDY) from error
