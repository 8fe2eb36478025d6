"""Gemm with its alpha and beta, with the weight on either side, stored either way."""

import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.patterns.layer import (
    MATRIX_RANK,
    Layer,
    Stored,
    find_image_rows,
    pick,
    resolve,
)


def read_gemm(node: gs.Node, added_bias: Stored | None) -> Layer | str:
    """Read alpha · features · weight + beta · bias, or return why it is not a head."""
    first, second, bias = pick(node.inputs, 3)
    left, right, own_bias = map(resolve, (first, second, bias))
    weight = right or left
    beta = float(node.attrs.get("beta", 1.0))
    alpha = float(node.attrs.get("alpha", 1.0))
    if weight is None or len(weight.shape) != MATRIX_RANK:
        return "has no constant weight matrix"
    features = _find_features(node, is_left=right is None)
    faults = {
        "has a bias that is not constant": bias is not None and own_bias is None,
        "is not a plain layer: transA, or an alpha or beta of 0": features is None
        or alpha == 0
        or beta == 0,
        "is quantized, with an alpha or beta": weight.params is not None
        and (alpha, beta) != (1.0, 1.0),
        "has two biases": added_bias is not None and own_bias is not None,
    }
    if fault := next((fault for fault, is_there in faults.items() if is_there), None):
        return fault
    has_rows = node.attrs.get("transB", 0) if right else not node.attrs.get("transA", 0)
    return Layer(
        features=features,
        weight=weight,
        bias=added_bias or own_bias,
        weight_scale=alpha,
        bias_scale=1.0 if added_bias else beta,
        class_axis=0 if bool(has_rows) != weight.is_transposed else 1,
        logits_axis=-1 if right else -2,
    )


def _find_features(node: gs.Node, *, is_left: bool) -> gs.Tensor | None:
    """Return the features [N, D], if images are on their first axis."""
    if is_left:
        second: gs.Tensor = node.inputs[1]
        return second if node.attrs.get("transB", 0) else find_image_rows(second)
    return None if node.attrs.get("transA", 0) else node.inputs[0]
