"""Integer operators: QGemm, QLinearMatMul and QLinearConv."""

from dataclasses import replace

import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.patterns.layer import MATRIX_RANK, Layer, Stored, pick, resolve
from nhle_onnx.graph.node_quant_params import read_input_quant_params, read_quant_params
from nhle_onnx.values.model import QuantParams

_WEIGHT = 3
_BIASES = {"QGemm": 6, "QLinearConv": 8, "QLinearMatMul": 8}


def read_quantized(node: gs.Node, added_bias: Stored | None) -> Layer | str:
    """Read a QGemm, QLinearMatMul or QLinearConv, or return why it is not a head."""
    weight = resolve(node.inputs[_WEIGHT])
    own_bias = resolve(pick(node.inputs, 9)[_BIASES[node.op]])
    if weight is None or any(extent != 1 for extent in weight.shape[MATRIX_RANK:]):
        return "has no constant weight matrix"
    if node.attrs.get("transA", 0) or node.attrs.get("group", 1) != 1:
        return "is not a plain layer: transA, or groups"
    if node.attrs.get("alpha", 1.0) != 1:
        return "is quantized, with an alpha"
    has_rows = node.op == "QLinearConv" or bool(node.attrs.get("transB", 0))
    class_axis = 0 if has_rows != weight.is_transposed else 1
    weight_quant_params = read_quant_params(node, _WEIGHT + 1, axis=class_axis)
    if own_bias is not None:
        scales = (node.inputs[1].name, *weight_quant_params.scales)
        own_bias = replace(own_bias, params=QuantParams(scales=scales, zero_point=None))
    return Layer(
        features=node.inputs[0],
        weight=replace(weight, params=weight_quant_params),
        bias=added_bias or own_bias,
        class_axis=class_axis,
        feature_quant_params=read_input_quant_params(node),
        logits_axis=1 - len(weight.shape),
    )
