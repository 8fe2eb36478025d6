"""The layers that can be a head: Gemm, MatMul with or without Add, and Conv."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from nhle_onnx.values.model import ClassifierHead

_MATRIX_RANK = 2
_MIN_CLASSES = 2
_BIAS_POSITION = 2
_ALIASES = frozenset({"Cast", "Identity", "Transpose"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """What lies between a head and its graph output."""

    output: gs.Tensor
    scores: str
    is_pooled: bool
    is_clamped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """A constant as the graph stores it: an initializer, or a Constant node's output."""

    name: str
    shape: tuple[int, ...]
    is_transposed: bool
    is_shared: bool

    def is_vector(self, num_classes: int) -> bool:
        """Whether it holds one number a class, whatever axes of one it has."""
        return [extent for extent in self.shape if extent != 1] == [num_classes]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """A layer's parts; `class_axis` counts on the weight as the graph stores it."""

    weight: _Stored
    bias: _Stored | None
    bias_scale: float
    class_axis: int


def read_layer(node: gs.Node, trail: Trail) -> ClassifierHead | str:
    """The head that `node` is (or the Add of its bias), or the reason why it is none."""
    bias = None
    logits = node.outputs[0]
    if node.op == "Add":
        bias, inner = _split_add(node)
        if inner is None:
            return f"{trail.output.name} comes from {node.op} {node.name}"
        node = inner
    readers = {"Gemm": _read_gemm, "MatMul": _read_matmul, "Conv": _read_conv}
    if node.op not in readers:
        return f"{trail.output.name} comes from {node.op} {node.name}"
    layer = readers[node.op](node, bias)
    if isinstance(layer, str):
        return f"{node.op} {node.name} {layer}"
    fault = _find_fault(layer, trail, is_matrix=node.op != "Conv")
    if fault:
        return f"{node.op} {node.name} {fault}"
    num_classes = layer.weight.shape[layer.class_axis]
    return ClassifierHead(
        op=node.op,
        node=node.name,
        weight=layer.weight.name,
        bias=layer.bias.name if layer.bias is not None else None,
        bias_scale=layer.bias_scale,
        class_axis=layer.class_axis,
        num_classes=num_classes,
        feature_dim=math.prod(layer.weight.shape) // num_classes,
        features=node.inputs[0].name,
        logits=logits.name,
        scores=trail.scores,
        is_clamped=trail.is_clamped,
        output=trail.output.name,
    )


def _find_fault(layer: _Layer, trail: Trail, *, is_matrix: bool) -> str | None:
    """Why a layer cannot be edited as a head, or None if it can."""
    num_classes = layer.weight.shape[layer.class_axis]
    if layer.weight.is_shared:
        return "shares its weight with another layer"
    if num_classes < _MIN_CLASSES:
        return f"has {num_classes} output, which is no choice between classes"
    if layer.bias is not None and not layer.bias.is_vector(num_classes):
        return "has a bias that is not one constant a class"
    if not _gives_one_score_a_class(trail, num_classes, is_matrix=is_matrix):
        return f"leads to {trail.output.shape}, which is not one score a class"
    return None


def _read_gemm(node: gs.Node, added_bias: _Stored | None) -> _Layer | str:
    weight, own_bias = (_resolve(tensor) for tensor in _pick(node.inputs[1:], 2))
    if weight is None or len(weight.shape) != _MATRIX_RANK:
        return "has no constant weight matrix"
    if len(node.inputs) > _BIAS_POSITION and own_bias is None:
        return "has a bias that is not constant"
    beta = float(node.attrs.get("beta", 1.0))
    if node.attrs.get("transA", 0) or node.attrs.get("alpha", 1.0) == 0 or beta == 0:
        return "is no plain layer: transA, or an alpha or beta of 0"
    if added_bias is not None and own_bias is not None:
        return "has two biases"
    has_rows = bool(node.attrs.get("transB", 0)) != weight.is_transposed
    return _Layer(
        weight=weight,
        bias=added_bias or own_bias,
        bias_scale=1.0 if added_bias else beta,
        class_axis=0 if has_rows else 1,
    )


def _read_matmul(node: gs.Node, bias: _Stored | None) -> _Layer | str:
    weight = _resolve(node.inputs[1])
    if weight is None or len(weight.shape) != _MATRIX_RANK:
        return "has no constant weight matrix on its right"
    return _Layer(
        weight=weight, bias=bias, bias_scale=1.0, class_axis=0 if weight.is_transposed else 1
    )


def _read_conv(node: gs.Node, added_bias: _Stored | None) -> _Layer | str:
    weight, own_bias = (_resolve(tensor) for tensor in _pick(node.inputs[1:], 2))
    if weight is None or weight.is_transposed or node.attrs.get("group", 1) != 1:
        return "has no constant weight, or groups"
    if any(extent != 1 for extent in weight.shape[2:]):
        return "is no 1x1 convolution"
    if added_bias is not None and (own_bias is not None or added_bias.shape[-2:] != (1, 1)):
        return "is followed by an Add that is no bias"
    return _Layer(weight=weight, bias=added_bias or own_bias, bias_scale=1.0, class_axis=0)


def _split_add(node: gs.Node) -> tuple[_Stored | None, gs.Node | None]:
    """The constant operand of an Add, in either order, and the node that computes the other."""
    for position, operand in enumerate(node.inputs):
        other = node.inputs[1 - position]
        constant = _resolve(operand)
        if constant is not None and other.inputs:
            return constant, other.inputs[0]
    return None, None


def _gives_one_score_a_class(trail: Trail, num_classes: int, *, is_matrix: bool) -> bool:
    """By the output's declared shape; where that is open, by the layer and what follows it."""
    extents = list(trail.output.shape or [])[1:]
    if extents and all(isinstance(extent, int) for extent in extents):
        return math.prod(map(int, extents)) == num_classes
    return is_matrix or trail.is_pooled


def _pick(inputs: Sequence[gs.Tensor], count: int) -> list[gs.Tensor | None]:
    present = [None if tensor.is_empty() else tensor for tensor in inputs]
    return [*present, *[None] * count][:count]


def _resolve(tensor: gs.Tensor | None) -> _Stored | None:
    """The constant behind Identity, Cast and Transpose nodes, or None if there is none."""
    is_transposed = False
    while tensor is not None and tensor.inputs and tensor.inputs[0].op in _ALIASES:
        is_transposed ^= tensor.inputs[0].op == "Transpose"
        tensor = tensor.inputs[0].inputs[0]
    if tensor is None:
        return None
    if tensor.inputs and tensor.inputs[0].op == "Constant" and "value" in tensor.inputs[0].attrs:
        shape = tensor.inputs[0].attrs["value"].shape
    elif isinstance(tensor, gs.Constant):
        shape = tensor.shape
    else:
        return None
    return _Stored(
        name=tensor.name,
        shape=tuple(int(extent) for extent in shape),
        is_transposed=is_transposed,
        is_shared=len(tensor.outputs) > 1,
    )
