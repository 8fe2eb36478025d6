"""Einsum of features and a weight, with the axes in any order."""

import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.patterns.layer import MATRIX_RANK, Layer, Stored, resolve


def read_einsum(node: gs.Node, bias: Stored | None) -> Layer | str:
    """Read `nd,kd->nk` and the like, or return why it is not a head."""
    names, result = _read_equation(str(node.attrs.get("equation", "")))
    if len(names) != len(node.inputs) or len(names) != MATRIX_RANK:
        return "is not a product of features and a weight"
    stored = [(place, resolve(node.inputs[place])) for place in (1, 0)]
    found = [(place, each) for place, each in stored if each and len(each.shape) == MATRIX_RANK]
    if not found:
        return "has no constant weight matrix"
    (position, weight), *_ = found
    axes, others = names[position], names[1 - position]
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


def _read_equation(equation: str) -> tuple[list[str], str]:
    """Read the axes of each operand and of the result, with a point for an ellipsis. Without a
    given result, it has the axes that occur once, in alphabetical order.
    """
    terms, arrow, result = equation.replace(" ", "").replace("...", ".").partition("->")
    once = (axis for axis in sorted({*terms} - {","}) if terms.count(axis) == 1)
    return terms.split(","), result if arrow else "".join(once)
