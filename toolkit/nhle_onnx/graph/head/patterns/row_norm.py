"""Rows that a graph divides by their lengths, as cosine heads do."""

from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.constants import read_constant, read_integers

_BETWEEN = frozenset({"Add", "Cast", "Clip", "Expand", "Identity", "Max", "Pow", "Sqrt"})
_LENGTHS = frozenset({"ReduceL2", "ReduceSum", "ReduceSumSquare"})
_ROOTS = frozenset({"Pow", "Sqrt"})
_LONGEST = 8  # nodes from the Div to the length


@dataclass(frozen=True, slots=True, kw_only=True)
class RowNorm:
    """A weight [R, C] that is divided by its lengths along `axis`, and the `nodes` that do it."""

    weight: gs.Tensor
    axis: int
    nodes: tuple[gs.Node, ...]


def find_row_norm(node: gs.Node) -> RowNorm | None:
    """Return what an LpNormalization divides, or a Div of x by its lengths; None for others."""
    if node.op == "LpNormalization":
        axis = int(node.attrs.get("axis", -1))
        is_length = node.attrs.get("p", 2) == 2  # noqa: PLR2004 - of Euclid
        return RowNorm(weight=node.inputs[0], axis=axis % 2, nodes=(node,)) if is_length else None
    if node.op != "Div":
        return None
    weight, divisor = node.inputs
    nodes = [node]
    while divisor.inputs and len(nodes) < _LONGEST:
        reduced = divisor.inputs[0]
        nodes.append(reduced)
        if reduced.op in _LENGTHS:
            return _read_length(reduced, weight, nodes)
        if reduced.op not in _BETWEEN:
            return None
        divisor = reduced.inputs[0]
    return None


def _read_length(reduced: gs.Node, weight: gs.Tensor, nodes: list[gs.Node]) -> RowNorm | None:
    axes = read_integers(reduced, "axes", 1)
    source = reduced.inputs[0]
    if reduced.op == "ReduceSum":
        squares = [node for node in source.inputs if _is_square(node)]
        nodes = [*nodes, *squares]
        source = squares[0].inputs[0] if squares else None
    roots = [node for node in nodes if node.op in _ROOTS and not _is_square(node)]
    is_length = len(roots) == (reduced.op != "ReduceL2") and all(map(_is_root, roots))
    if source is not weight or not is_length or axes is None or len(axes) != 1:
        return None
    return RowNorm(weight=weight, axis=axes[0] % 2, nodes=tuple(nodes))


def _is_square(node: gs.Node) -> bool:
    return (node.op == "Mul" and node.inputs[0] is node.inputs[1]) or _is_power(node, 2)


def _is_root(node: gs.Node) -> bool:
    return node.op == "Sqrt" or _is_power(node, 0.5)


def _is_power(node: gs.Node, exponent: float) -> bool:
    return node.op == "Pow" and bool(np.all(read_constant(node.inputs[1]) == np.array(exponent)))
