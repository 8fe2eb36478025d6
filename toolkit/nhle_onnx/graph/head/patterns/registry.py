"""Which pattern reads which operator, and the conditions for every head.

To add a form of head, write `patterns/NAME.py` and add a row to `PATTERNS`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.names import name_node
from nhle_onnx.graph.head.patterns.conv import read_conv
from nhle_onnx.graph.head.patterns.einsum import read_einsum
from nhle_onnx.graph.head.patterns.gemm import read_gemm
from nhle_onnx.graph.head.patterns.integer_product import read_integer_product, skip_dynamic_scale
from nhle_onnx.graph.head.patterns.layer import Layer, Stored, resolve
from nhle_onnx.graph.head.patterns.matmul import read_matmul
from nhle_onnx.graph.head.patterns.packed import read_packed
from nhle_onnx.graph.head.patterns.quantized import read_quantized
from nhle_onnx.graph.node_quant_params import (
    QUANTIZING,
    list_output_quant_params,
    read_quant_params,
)
from nhle_onnx.values.model import ClassifierHead

Pattern = Callable[[gs.Node, Stored | None], Layer | str]
PATTERNS: Mapping[str, Pattern] = {
    "Conv": read_conv,
    "Einsum": read_einsum,
    "Gemm": read_gemm,
    "MatMul": read_matmul,
    "MatMulInteger": read_integer_product,
    "MatMulNBits": read_packed,
    "QGemm": read_quantized,
    "QLinearConv": read_quantized,
    "QLinearMatMul": read_quantized,
}
_MIN_CLASSES = 2
_MOST_PASSED = 100
_PASSING = frozenset({"Cast", "Dropout", "Identity"})
_ALIASES = QUANTIZING | {"Cast", "Identity"}
_ADDING = frozenset({"Add", "QLinearAdd"})
_ADDED = 3  # input position of a QLinearAdd's second operand


class Parts(NamedTuple):
    """A layer, the node that multiplies, and the layer's last node: the same, or a bias's Add."""

    layer: Layer
    node: gs.Node
    last: gs.Node


def read_layer(node: gs.Node, tensor: gs.Tensor) -> ClassifierHead | str:
    """Return the head with the logits `tensor`, or why it is not a head. `node` computes `tensor`;
    it may be the Add of a bias.
    """
    parts = read_parts(node, tensor)
    if isinstance(parts, str):
        return parts
    fault = _find_fault(parts.layer)
    if fault:
        return f"{name_node(parts.node)} {fault}"
    return make_head(parts, tensor)


def read_parts(
    node: gs.Node, tensor: gs.Tensor, patterns: Mapping[str, Pattern] = PATTERNS
) -> Parts | str:
    """Return the parts of the layer that computes `tensor`, or why it is not a layer's result."""
    bias = None
    last = node
    if node.op in _ADDING:
        bias, inner = _split_add(node)
        if inner is None:
            return f"{tensor.name} comes from {name_node(node)}"
        node = inner
    node = skip_dynamic_scale(node)
    if node.op not in patterns:
        return f"{tensor.name} comes from {name_node(_skip_conversions(node))}"
    layer = patterns[node.op](node, bias)
    if isinstance(layer, str):
        return f"{name_node(node)} {layer}"
    return Parts(layer, node, last)


def make_head(parts: Parts, tensor: gs.Tensor) -> ClassifierHead:
    """Make the head of a layer whose every output is a class."""
    layer, node, last = parts
    num_classes = layer.weight.shape[layer.class_axis]
    return ClassifierHead(
        op=node.op,
        node=node.name,
        weight=layer.weight.name,
        bias=layer.bias.name if layer.bias is not None else None,
        weight_scale=layer.weight_scale,
        bias_scale=layer.bias_scale,
        class_axis=layer.class_axis,
        num_classes=num_classes,
        feature_dim=math.prod(layer.weight.shape) // num_classes,
        features=layer.features.name,
        logits=last.outputs[0].name,
        scores=tensor.name,
        is_clamped=False,
        output=tensor.name,
        weight_quant_params=layer.weight.params,
        weight_rounding=layer.weight.rounding,
        bias_quant_params=layer.bias.params if layer.bias is not None else None,
        feature_quant_params=layer.feature_quant_params,
        score_quant_params=list_output_quant_params(last),
        is_normalized=layer.weight.normalized_axis is not None,
        logits_axis=layer.logits_axis,
        row_scales=_list_row_scales(layer),
    )


def _list_row_scales(layer: Layer) -> tuple[float, ...]:
    factors = layer.weight.factors
    return () if factors is None else tuple(factors.ravel().tolist())


def _skip_conversions(node: gs.Node) -> gs.Node:
    """Return the node before Cast, Dropout and Identity, which a message names instead of them.
    Gives up after many of them: each output of a chain of thousands would follow all before it.
    """
    for _ in range(_MOST_PASSED):
        if node.op not in _PASSING or not node.inputs[0].inputs:
            break
        node = node.inputs[0].inputs[0]
    return node


def _find_fault(layer: Layer) -> str | None:
    """Return why a layer cannot be edited as a head, or None if it can."""
    num_classes = layer.weight.shape[layer.class_axis]
    if layer.weight.is_shared:
        return "shares its weight with another layer"
    if num_classes < _MIN_CLASSES:
        return f"has {num_classes} output, which leaves no choice between classes"
    if layer.bias is not None and (fault := _find_bias_fault(layer.bias, layer)):
        return fault
    if layer.weight.normalized_axis == layer.class_axis:
        return "divides its weights by lengths along the classes"
    if layer.weight.factors is not None and layer.weight.factors.shape[1 - layer.class_axis] > 1:
        return "multiplies each feature's weights by a factor of its own"
    return None


def _find_bias_fault(bias: Stored, layer: Layer) -> str | None:
    if not _fits_logits(bias, layer.logits_axis, layer.weight.shape[layer.class_axis]):
        return "has a bias that is not one constant for each class"
    return None if bias.rounding is None else "has a bias that the graph rounds"


def _fits_logits(bias: Stored, axis: int, num_classes: int) -> bool:
    """Whether a bias has one number for each class; with the weight on the left, a column."""
    is_column = axis == -2 and len(bias.shape) >= -axis and bias.shape[axis] == num_classes  # noqa: PLR2004
    return bias.is_vector(num_classes) and (axis != -2 or is_column)  # noqa: PLR2004


def _split_add(node: gs.Node) -> tuple[Stored | None, gs.Node | None]:
    """Return the constant operand of an Add, in either order, and the node that computes the other
    operand; None for both if there is no such pair.
    """
    places = (0, 1) if node.op == "Add" else (0, _ADDED)
    for position, operand in enumerate(places):
        other = _skip_aliases(node.inputs[places[1 - position]])
        constant = resolve(node.inputs[operand])
        if constant is not None and other.inputs:
            params = constant.params if node.op == "Add" else read_quant_params(node, operand + 1)
            return replace(constant, params=params), other.inputs[0]
    return None, None


def _skip_aliases(tensor: gs.Tensor) -> gs.Tensor:
    """Return the tensor before QuantizeLinear and DequantizeLinear, a Cast or an Identity."""
    while tensor.inputs and tensor.inputs[0].op in _ALIASES:
        tensor = tensor.inputs[0].inputs[0]
    return tensor
