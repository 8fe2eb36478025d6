"""Einsum of features and a weight, with the axes in any order."""

import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.patterns.layer import MATRIX_RANK, Layer, Stored, resolve


def read_einsum(node: gs.Node, bias: Stored | None) -> Layer | str:
    """Read `nd,kd->nk` and the like, or return why it is not a head."""
    terms, arrow, result = str(node.attrs.get("equation", "")).replace(" ", "").partition("->")
    names = terms.split(",")
    if not arrow or len(names) != len(node.inputs) or len(names) != MATRIX_RANK:
        return "is not a product of features and a weight"
    stored = [resolve(tensor) for tensor in node.inputs]
    position = next((place for place in (1, 0) if stored[place] is not None), None)
    if position is None:
        return "has no constant weight matrix"
    weight, axes, others = stored[position], names[position], names[1 - position]
    if weight is None or len(weight.shape) != MATRIX_RANK:
        return "has no constant weight matrix"
    classes = [axis for axis in axes if axis in result and axis not in others]
    summed = [axis for axis in axes if axis in others and axis not in result]
    if len(classes) != 1 or len(summed) != 1 or others.find(summed[0]) != 1 or len(others) != 2:  # noqa: PLR2004 - images, features
        return "does not sum each image's features by a weight for each class"
    class_axis = axes.index(classes[0])
    return Layer(
        features=node.inputs[1 - position],
        weight=weight,
        bias=bias,
        class_axis=1 - class_axis if weight.is_transposed else class_axis,
        logits_axis=result.index(classes[0]) - len(result),
    )
