"""Functions that exporters write as several nodes: softmax and other normalizations, softplus,
softsign. Each is recognised at its last node.
"""

import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.constants import is_constant, read_constant, read_integers

_LIMITING = frozenset({"Clip", "Expand", "Max"})
_REDUCED = frozenset({"ReduceSum", "ReduceL1", "ReduceL2"})
_SHARED = frozenset({"ReduceMax", "ReduceMean", "ReduceLogSumExp", "ReduceMin"})


def find_normalized(node: gs.Node) -> gs.Tensor | None:
    """Return the x of exp(x - max x) / sum exp(x - max x), as Keras exporters write a softmax, of
    x - log sum exp x, or of x / sum x; None for any other node.
    """
    if node.op not in {"Div", "Sub"}:
        return None
    left, right = node.inputs[:2]
    reduced = _skip_limits(right) if node.op == "Div" else right.inputs[0] if right.inputs else None
    if reduced is None or not any(each is left for each in reduced.inputs[:1]):
        return None
    if node.op == "Sub":
        return left if reduced.op in _SHARED else None
    if reduced.op not in _REDUCED:
        return None
    return left.inputs[0].inputs[0] if is_softmax(node) else left


def list_reduced_axes(node: gs.Node) -> tuple[int, ...]:
    """List the axes that a normalization's divisor or subtrahend reduces; () means all axes."""
    divisor = node.inputs[1]
    reduced = _skip_limits(divisor) if node.op == "Div" else divisor.inputs[0]
    return read_integers(reduced, "axes", 1) or ()


def _skip_limits(divisor: gs.Tensor) -> gs.Node | None:
    """Return the node that computes a divisor, before the nodes that keep it above 0."""
    node: gs.Node | None = divisor.inputs[0] if divisor.inputs else None
    if node is not None and node.op in _LIMITING and node.inputs[0].inputs:
        return _skip_limits(node.inputs[0])
    return node


def divides_by_sum(node: gs.Node) -> bool:
    """Whether a node divides by a plain sum, which is negative where negative scores prevail."""
    reduced = _skip_limits(node.inputs[1])
    return node.op == "Div" and reduced is not None and reduced.op == "ReduceSum"


def is_softplus(node: gs.Node) -> bool:
    """Whether a node is x where x is large, and softplus x elsewhere, as PyTorch computes it."""
    large, x, function = node.inputs
    compared = large.inputs[0] if large.inputs else None
    computed = function.inputs[0] if function.inputs else None
    return (
        compared is not None
        and computed is not None
        and (compared.op, computed.op) == ("Greater", "Softplus")
        and compared.inputs[0] is x
        and computed.inputs[0] is x
    )


def is_softsign(node: gs.Node) -> bool:
    """Whether a node is x / (1 + |x|), as PyTorch's softsign is exported."""
    x, divisor = node.inputs
    added = divisor.inputs[0] if divisor.inputs else None
    if added is None or added.op != "Add":
        return False
    size, one = sorted(added.inputs, key=is_constant)
    amount = read_constant(one)
    is_one = amount is not None and (amount == 1).all()
    return bool(
        is_one and size.inputs and size.inputs[0].op == "Abs" and size.inputs[0].inputs[0] is x
    )


def is_softmax(node: gs.Node) -> bool:
    """Whether a node divides an Exp, as the last node of a softmax in parts does."""
    return node.op == "Div" and any(each.op == "Exp" for each in node.inputs[0].inputs)
