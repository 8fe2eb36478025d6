"""A form of a model whose sums of 8-bit products are exact on every processor.

On some processors, ONNX Runtime's kernels saturate sums of uint8 × int8 products; sums of uint8 ×
uint8 and of int8 × int8 are exact everywhere. So an int8 factor beside a uint8 one becomes uint8:
adding 128 to its numbers and to its zero point leaves the real values unchanged.

ONNX Runtime has an option for this (`session.x64quantprecision`), but it then refuses graphs in
which two layers share a weight or both factors are int8, and skips factors that are not constant.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx import shape_inference as inference

from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.skeleton import make_skeleton

# Otherwise int8 activations between quantizers become uint8, beside weights that stay int8.
ENTRIES = {"session.qdqisint8allowed": "1"}
_OFFSET = 128
_PREFIX = "nhle_onnx/exact_sums"
_FLOAT_PRODUCTS = {"Conv", "MatMul", "Gemm"}  # fused with the quantizers around them
# ONNX Runtime moves quantizers through these to the layer behind.
_MOVES = {"Flatten", "Identity", "MaxPool", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}


class _Factors(NamedTuple):
    """Input positions of the two factors that an operator multiplies, and of their zero points."""

    left: int
    left_zero: int
    right: int
    right_zero: int


_FACTORS = {
    "MatMulInteger": _Factors(0, 2, 1, 3),
    "ConvInteger": _Factors(1, 3, 0, 2),  # its kernel multiplies the weight by the image
    "QLinearConv": _Factors(0, 2, 3, 5),
    "QLinearMatMul": _Factors(0, 2, 3, 5),
    "QGemm": _Factors(0, 2, 3, 5),
    "MatMulIntegerToFloat": _Factors(0, 4, 1, 5),
    "QAttention": _Factors(0, 6, 1, 7),
}
_DYNAMIC = {"DynamicQuantizeMatMul": _Factors(0, 0, 1, 3)}  # left factor: uint8 inside


class _Operand(NamedTuple):
    """Input positions of a node's quantized tensor and its zero point."""

    node: NodeProto
    numbers: int
    zero_point: int


def make_exact(model: ModelProto) -> ModelProto:
    """Return a model that computes the same with exact sums. The given model is not changed."""
    exact = copy_model(model)
    operands = {(id(operand.node), operand.numbers): operand for operand in _list_mixed(exact)}
    for number, operand in enumerate(operands.values()):
        _shift(exact, operand, f"{_PREFIX}/{number}")
    return exact


def _list_mixed(model: ModelProto) -> Iterator[_Operand]:
    """List every int8 factor that is multiplied by a uint8 one."""
    index = GraphIndex(model)
    kinds, producers = _find_kinds(index), index.producers
    for node in model.graph.node:
        if node.op_type in _FLOAT_PRODUCTS:
            left, right = (_find_quantized(name, producers) for name in node.input[:2])
            left_kind = _read_kind(left, kinds) if left else None
        elif node.op_type in _FACTORS:
            factors = _FACTORS[node.op_type]
            left_kind = _read_kind(_Operand(node, factors.left, factors.left_zero), kinds)
            right = _Operand(node, factors.right, factors.right_zero)
        elif node.op_type in _DYNAMIC:
            left_kind = TensorProto.UINT8
            right = _Operand(node, _DYNAMIC[node.op_type].right, _DYNAMIC[node.op_type].right_zero)
        else:
            continue
        if right and (left_kind, _read_kind(right, kinds)) == (TensorProto.UINT8, TensorProto.INT8):
            yield right


def _find_quantized(name: str, producers: Mapping[str, NodeProto]) -> _Operand | None:
    """Return the tensor that this one was dequantized from, if it was only reshaped since."""
    node = producers.get(name)
    while node and node.op_type in _MOVES:
        node = producers.get(node.input[0])
    return _Operand(node, 0, 2) if node and node.op_type == "DequantizeLinear" else None


def _find_kinds(index: GraphIndex) -> dict[str, int]:
    """Return element types by tensor, as far as they are stored, declared, or can be inferred."""
    skeleton = make_skeleton(index.proto)
    with suppress(RuntimeError, ValueError, inference.InferenceError):
        # stored and declared types are known even so
        skeleton = inference.infer_shapes(skeleton)
    values = (*skeleton.graph.input, *skeleton.graph.value_info)
    kinds = {value.name: value.type.tensor_type.elem_type for value in values}
    return kinds | {name: tensor.data_type for name, tensor in index.tensors.items()}


def _read_kind(operand: _Operand, kinds: Mapping[str, int]) -> int | None:
    """Return the operand's element type, which is that of its zero point."""
    names = dict(enumerate(operand.node.input))
    zero_point, numbers = names.get(operand.zero_point, ""), names.get(operand.numbers, "")
    return kinds.get(zero_point) or kinds.get(numbers)


def _shift(model: ModelProto, operand: _Operand, prefix: str) -> None:
    """Make an operand and its zero point uint8. For constants, ONNX Runtime does this only once."""
    node, places = operand.node, (operand.numbers, operand.zero_point)
    node.input.extend([""] * (operand.zero_point + 1 - len(node.input)))
    if not node.input[operand.zero_point]:
        node.input[operand.zero_point] = _store(model, f"{prefix}/zero", _make_zeros(model, node))
    offset = _store(model, f"{prefix}/offset", np.array(_OFFSET, np.int32))
    for place in places:
        wide, moved, shifted = (f"{prefix}/{place}/{name}" for name in ("wide", "moved", "shifted"))
        steps = (
            helper.make_node("Cast", [node.input[place]], [wide], to=TensorProto.INT32),
            helper.make_node("Add", [wide, offset], [moved]),
            helper.make_node("Cast", [moved], [shifted], to=TensorProto.UINT8),
        )
        model.graph.node.extend(steps)  # ONNX Runtime sorts the nodes itself
        node.input[place] = shifted


def _make_zeros(model: ModelProto, node: NodeProto) -> npt.NDArray[np.int8]:
    """Make the zero point that a node leaves out, one for each of its scales."""
    scale = GraphIndex(model).tensors.get(node.input[1])
    is_scaled = node.op_type == "DequantizeLinear" and scale is not None
    return np.zeros(tuple(scale.dims) if scale and is_scaled else (), np.int8)


def _store(model: ModelProto, name: str, array: npt.NDArray[np.generic]) -> str:
    model.graph.initializer.append(numpy_helper.from_array(array, name))
    return name
