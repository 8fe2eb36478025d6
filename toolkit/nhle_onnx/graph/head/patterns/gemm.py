"""Gemm with its alpha and beta, its weight stored either way."""

import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.patterns.layer import MATRIX_RANK, Layer, Stored, pick, resolve


def read_gemm(node: gs.Node, added_bias: Stored | None) -> Layer | str:
    """Read alpha · features · weight + beta · bias, or return why it is not a head."""
    given = pick(node.inputs[1:], 2)
    weight, own_bias = map(resolve, given)
    if weight is None or len(weight.shape) != MATRIX_RANK:
        return "has no constant weight matrix"
    if given[1] is not None and own_bias is None:
        return "has a bias that is not constant"
    beta = float(node.attrs.get("beta", 1.0))
    alpha = float(node.attrs.get("alpha", 1.0))
    if node.attrs.get("transA", 0) or alpha == 0 or beta == 0:
        return "is not a plain layer: transA, or an alpha or beta of 0"
    if weight.params is not None and (alpha, beta) != (1.0, 1.0):
        return "is quantized, with an alpha or beta"
    if added_bias is not None and own_bias is not None:
        return "has two biases"
    has_rows = bool(node.attrs.get("transB", 0)) != weight.is_transposed
    return Layer(
        features=node.inputs[0],
        weight=weight,
        bias=added_bias or own_bias,
        weight_scale=alpha,
        bias_scale=1.0 if added_bias else beta,
        class_axis=0 if has_rows else 1,
    )
