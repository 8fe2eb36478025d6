"""Operators behind a head that combine its scores with a constant."""

import numpy as np
import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.constants import read_constant
from nhle_onnx.graph.head.names import name_node
from nhle_onnx.graph.head.sums import hide, scale, shift
from nhle_onnx.graph.head.trail import Floats, Trail

_ONE_FOR_EACH = "one finite constant for each class"


def multiply(node: gs.Node, trail: Trail, operand: gs.Tensor) -> Trail | str:
    """Multiply by a constant."""
    factors = lay_along_classes(operand, trail)
    if factors is None or not np.isfinite(factors).all():
        return f"is followed by {name_node(node)}, whose factor is not {_ONE_FOR_EACH}"
    return scale(trail, factors, name_node(node))


def divide(node: gs.Node, trail: Trail, operand: gs.Tensor) -> Trail | str:
    """Divide by a constant, as a temperature does."""
    divisors = lay_along_classes(operand, trail)
    if divisors is None or not np.isfinite(divisors).all() or not divisors.all():
        return f"is followed by {name_node(node)}, whose divisor is not {_ONE_FOR_EACH}, or 0"
    return scale(trail, 1 / divisors, name_node(node))


def shift_by(node: gs.Node, trail: Trail, operand: gs.Tensor, sign: float = 1) -> Trail | str:
    """Add a constant, such as a mask of classes, or subtract it."""
    amounts = lay_along_classes(operand, trail)
    if amounts is None or np.isnan(amounts).any() or (sign * amounts == np.inf).any():
        return f"is followed by {name_node(node)}, whose operand is not {_ONE_FOR_EACH}"
    return shift(trail, sign * amounts, name_node(node))


def choose(node: gs.Node, trail: Trail, constant: gs.Tensor, *, keeps: bool) -> Trail | str:
    """Replace the scores of some classes by a constant. With `keeps`, scores stay where the node's
    condition holds, otherwise where it does not.
    """
    chosen = lay_along_classes(node.inputs[0], trail)
    values = lay_along_classes(constant, trail)
    if chosen is None or values is None:
        return f"is followed by {name_node(node)}, which does not choose constant classes"
    is_hidden = (chosen != 0) != keeps
    hidden = values[is_hidden]
    if len(hidden) and (hidden != hidden[0]).any():
        return f"is followed by {name_node(node)}, with several constants"
    return hide(trail, is_hidden, float(hidden[0])) if len(hidden) else trail


def lay_along_classes(tensor: gs.Tensor, trail: Trail) -> Floats | None:
    """Return a constant as one number for each class, [K], if it broadcasts along the classes."""
    values = read_constant(tensor)
    if values is None or values.dtype.kind not in "fiub":
        return None
    if values.size == 1:
        return np.full(trail.num_classes, float(values.ravel()[0]))
    axis = -1 if trail.axis is None else trail.axis
    expected = [1] * values.ndim
    if values.ndim < -axis:
        return None
    expected[axis] = trail.num_classes
    return values.astype(np.float64).ravel() if [*values.shape] == expected else None
