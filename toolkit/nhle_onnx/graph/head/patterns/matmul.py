"""MatMul, with or without an Add behind it."""

import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.patterns.layer import MATRIX_RANK, Layer, Stored, resolve


def read_matmul(node: gs.Node, bias: Stored | None) -> Layer | str:
    """Read features · weight, with the bias from an Add behind it, if there is one."""
    weight = resolve(node.inputs[1])
    if weight is None or len(weight.shape) != MATRIX_RANK:
        return "has no constant weight matrix on its right"
    class_axis = 0 if weight.is_transposed else 1
    return Layer(features=node.inputs[0], weight=weight, bias=bias, class_axis=class_axis)
