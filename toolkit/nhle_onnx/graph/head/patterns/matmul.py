"""MatMul, with the weight on either side, with or without an Add behind it."""

import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.patterns.layer import MATRIX_RANK, Layer, Stored, find_image_rows, resolve


def read_matmul(node: gs.Node, bias: Stored | None) -> Layer | str:
    """Read features · weight or weight · features, with the bias from an Add behind it, if any."""
    left, right = map(resolve, node.inputs)
    if right is not None and len(right.shape) == MATRIX_RANK:
        class_axis = 0 if right.is_transposed else 1
        return Layer(features=node.inputs[0], weight=right, bias=bias, class_axis=class_axis)
    features = find_image_rows(node.inputs[1])
    if left is None or len(left.shape) != MATRIX_RANK:
        return "has no constant weight matrix on its right or left"
    if features is None:
        return "has its weight on the left, and features with images on their last axis"
    return Layer(
        features=features,
        weight=left,
        bias=bias,
        class_axis=1 if left.is_transposed else 0,
        logits_axis=-2,
    )
