"""The layers that can be a head: Gemm, MatMul with or without Add, and Conv."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from nhle_onnx.values.model import ClassifierHead

_MATRIX_RANK = 2
_MIN_CLASSES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """What lies between a head and its graph output."""

    output: gs.Tensor
    scores: str
    is_pooled: bool
    is_clamped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """A layer's parts; `class_axis` counts on the weight as the graph stores it."""

    node: gs.Node
    features: gs.Tensor
    weight: gs.Constant
    bias: gs.Tensor | None
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
    return layer if isinstance(layer, str) else _make_head(layer, logits, trail)


def _make_head(layer: _Layer, logits: gs.Tensor, trail: Trail) -> ClassifierHead | str:
    node, weight = layer.node, layer.weight
    place = f"{node.op} {node.name}"
    if len(weight.outputs) > 1:
        return f"{place} shares its weight with another layer"
    num_classes = weight.shape[layer.class_axis]
    if num_classes < _MIN_CLASSES:
        return f"{place} has {num_classes} output, which is no choice between classes"
    if layer.bias is not None and not _is_vector(layer.bias, num_classes):
        return f"{place} has a bias that is not one constant a class"
    if not _gives_one_score_a_class(trail, num_classes, is_matrix=node.op != "Conv"):
        return f"{place} leads to {trail.output.shape}, which is not one score a class"
    return ClassifierHead(
        op=node.op,
        node=node.name,
        weight=weight.name,
        bias=layer.bias.name if layer.bias is not None else None,
        bias_scale=layer.bias_scale,
        class_axis=layer.class_axis,
        num_classes=num_classes,
        feature_dim=math.prod(weight.shape) // num_classes,
        features=layer.features.name,
        logits=logits.name,
        scores=trail.scores,
        is_clamped=trail.is_clamped,
        output=trail.output.name,
    )


def _read_gemm(node: gs.Node, added_bias: gs.Tensor | None) -> _Layer | str:
    weight, bias = (_resolve(tensor) for tensor in _pick(node.inputs[1:], 2))
    if weight is None or len(weight[0].shape) != _MATRIX_RANK:
        return f"Gemm {node.name} has no constant weight matrix"
    beta = float(node.attrs.get("beta", 1.0))
    if node.attrs.get("transA", 0) or node.attrs.get("alpha", 1.0) == 0 or beta == 0:
        return f"Gemm {node.name} is no plain layer: transA, or an alpha or beta of 0"
    if added_bias is not None and bias is not None:
        return f"Gemm {node.name} has two biases"
    constant, is_transposed = weight
    has_rows = bool(node.attrs.get("transB", 0)) != is_transposed
    own_bias = _pick(node.inputs, 3)[2]
    return _Layer(
        node=node,
        features=node.inputs[0],
        weight=constant,
        bias=added_bias if added_bias is not None else (bias[0] if bias else own_bias),
        bias_scale=1.0 if added_bias is not None else beta,
        class_axis=0 if has_rows else 1,
    )


def _read_matmul(node: gs.Node, bias: gs.Tensor | None) -> _Layer | str:
    weight = _resolve(node.inputs[1])
    if weight is None or len(weight[0].shape) != _MATRIX_RANK:
        return f"MatMul {node.name} has no constant weight matrix on its right"
    constant, is_transposed = weight
    return _Layer(
        node=node,
        features=node.inputs[0],
        weight=constant,
        bias=bias,
        bias_scale=1.0,
        class_axis=0 if is_transposed else 1,
    )


def _read_conv(node: gs.Node, added_bias: gs.Tensor | None) -> _Layer | str:
    weight, own_bias = (_resolve(tensor) for tensor in _pick(node.inputs[1:], 2))
    if weight is None or weight[1] or node.attrs.get("group", 1) != 1:
        return f"Conv {node.name} has no constant weight, or groups"
    if any(extent != 1 for extent in weight[0].shape[2:]):
        return f"Conv {node.name} is no 1x1 convolution"
    if added_bias is not None and list(added_bias.shape[-2:]) != [1, 1]:
        return f"Conv {node.name} is followed by an Add that is no bias"
    if added_bias is not None and own_bias is not None:
        return f"Conv {node.name} has two biases"
    return _Layer(
        node=node,
        features=node.inputs[0],
        weight=weight[0],
        bias=added_bias if added_bias is not None else (own_bias[0] if own_bias else None),
        bias_scale=1.0,
        class_axis=0,
    )


def _split_add(node: gs.Node) -> tuple[gs.Tensor | None, gs.Node | None]:
    """The constant operand of an Add, in either order, and the node that computes the other."""
    for position, operand in enumerate(node.inputs):
        other = node.inputs[1 - position]
        constant = _resolve(operand)
        if constant is not None and other.inputs:
            return constant[0], other.inputs[0]
    return None, None


def _gives_one_score_a_class(trail: Trail, num_classes: int, *, is_matrix: bool) -> bool:
    """By the output's declared shape; where that is open, by the layer and what follows it."""
    extents = list(trail.output.shape or [])[1:]
    if extents and all(isinstance(extent, int) for extent in extents):
        return math.prod(extents) == num_classes
    return is_matrix or trail.is_pooled


def _pick(inputs: Sequence[gs.Tensor], count: int) -> list[gs.Tensor | None]:
    present = [None if tensor.is_empty() else tensor for tensor in inputs]
    return [*present, *[None] * count][:count]


def _resolve(tensor: gs.Tensor | None) -> tuple[gs.Constant, bool] | None:
    """The constant behind Identity and Transpose nodes, and whether it is transposed."""
    is_transposed = False
    while tensor is not None and not isinstance(tensor, gs.Constant) and tensor.inputs:
        node = tensor.inputs[0]
        if node.op not in {"Identity", "Transpose"}:
            return None
        is_transposed ^= node.op == "Transpose"
        tensor = node.inputs[0]
    return (tensor, is_transposed) if isinstance(tensor, gs.Constant) else None


def _is_vector(tensor: gs.Tensor, num_classes: int) -> bool:
    if not isinstance(tensor, gs.Constant):
        return False
    extents: list[int] = [extent for extent in tensor.shape if extent != 1]
    return extents == [num_classes]
