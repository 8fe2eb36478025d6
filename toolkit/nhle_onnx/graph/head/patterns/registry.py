"""Which pattern reads which operator, and what every head must fulfil.

To add a form of head, write `patterns/NAME.py` and add a row to `PATTERNS`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.patterns.conv import read_conv
from nhle_onnx.graph.head.patterns.gemm import read_gemm
from nhle_onnx.graph.head.patterns.integer_product import read_integer_product, skip_dynamic_scale
from nhle_onnx.graph.head.patterns.layer import Layer, Stored, resolve
from nhle_onnx.graph.head.patterns.matmul import read_matmul
from nhle_onnx.graph.head.patterns.quantized import read_quantized
from nhle_onnx.graph.head.trail import Trail
from nhle_onnx.graph.node_quant_params import (
    QUANTIZING,
    list_output_quant_params,
    read_input_quant_params,
    read_quant_params,
)
from nhle_onnx.values.model import ClassifierHead, QuantParams

Pattern = Callable[[gs.Node, Stored | None], Layer | str]
PATTERNS: Mapping[str, Pattern] = {
    "Conv": read_conv,
    "Gemm": read_gemm,
    "MatMul": read_matmul,
    "MatMulInteger": read_integer_product,
    "QGemm": read_quantized,
    "QLinearConv": read_quantized,
    "QLinearMatMul": read_quantized,
}
_MIN_CLASSES = 2
_MOVING = frozenset({"Flatten", "Reshape", "Squeeze", "Identity"})
_ADDING = frozenset({"Add", "QLinearAdd"})
_ADDED = 3  # input position of a QLinearAdd's second operand


def read_layer(node: gs.Node, trail: Trail) -> ClassifierHead | str:
    """Return the head that ends in `node`, perhaps the Add of its bias, or why it is not a head."""
    bias = None
    last = node
    if node.op in _ADDING:
        bias, inner = _split_add(node)
        if inner is None:
            return f"{trail.output.name} comes from {node.op} {node.name}"
        node = inner
    node = skip_dynamic_scale(node)
    if node.op not in PATTERNS:
        return f"{trail.output.name} comes from {node.op} {node.name}"
    layer = PATTERNS[node.op](node, bias)
    if isinstance(layer, str):
        return f"{node.op} {node.name} {layer}"
    fault = _find_fault(layer, trail, is_matrix="Conv" not in node.op)
    if fault:
        return f"{node.op} {node.name} {fault}"
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
        scores=trail.scores,
        is_clamped=trail.is_clamped,
        is_separate=trail.is_separate,
        output=trail.output.name,
        weight_quant_params=layer.weight.params,
        bias_quant_params=layer.bias.params if layer.bias is not None else None,
        feature_quant_params=layer.feature_quant_params,
        feature_limits=layer.feature_quant_params or _find_feature_limits(layer.features),
        scores_quant_params=trail.scores_quant_params,
        score_quant_params=(*trail.limits, *list_output_quant_params(last)),
    )


def _find_feature_limits(features: gs.Tensor) -> QuantParams | None:
    """Return the parameters that dequantized the features, if they were only reshaped since."""
    while features.inputs and features.inputs[0].op in _MOVING:
        features = features.inputs[0].inputs[0]
    is_read = bool(features.inputs) and features.inputs[0].op == "DequantizeLinear"
    return read_input_quant_params(features.inputs[0]) if is_read else None


def _find_fault(layer: Layer, trail: Trail, *, is_matrix: bool) -> str | None:
    """Return why a layer cannot be edited as a head, or None if it can."""
    num_classes = layer.weight.shape[layer.class_axis]
    if layer.weight.is_shared:
        return "shares its weight with another layer"
    if num_classes < _MIN_CLASSES:
        return f"has {num_classes} output, which leaves no choice between classes"
    if layer.bias is not None and not layer.bias.is_vector(num_classes):
        return "has a bias that is not one constant for each class"
    if not _gives_one_score_a_class(trail, num_classes, is_matrix=is_matrix):
        return f"leads to {trail.output.shape}, which is not one score for each class"
    return None


def _split_add(node: gs.Node) -> tuple[Stored | None, gs.Node | None]:
    """Return the constant operand of an Add, in either order, and the node of the other one."""
    places = (0, 1) if node.op == "Add" else (0, _ADDED)
    for position, operand in enumerate(places):
        other = _skip_rounding(node.inputs[places[1 - position]])
        constant = resolve(node.inputs[operand])
        if constant is not None and other.inputs:
            params = constant.params if node.op == "Add" else read_quant_params(node, operand + 1)
            return replace(constant, params=params), other.inputs[0]
    return None, None


def _skip_rounding(tensor: gs.Tensor) -> gs.Tensor:
    """Return the tensor before a QuantizeLinear and DequantizeLinear pair."""
    while tensor.inputs and tensor.inputs[0].op in QUANTIZING:
        tensor = tensor.inputs[0].inputs[0]
    return tensor


def _gives_one_score_a_class(trail: Trail, num_classes: int, *, is_matrix: bool) -> bool:
    """Judge by the output's declared shape or, where that is open, by layer and tail."""
    extents = list(trail.output.shape or [])[1:]
    if extents and all(isinstance(extent, int) for extent in extents):
        return math.prod(map(int, extents)) == num_classes
    return is_matrix or trail.is_pooled
