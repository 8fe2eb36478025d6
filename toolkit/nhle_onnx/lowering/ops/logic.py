"""Comparison, logic and choice."""

import torch
from torch import Tensor

from nhle_onnx.lowering.node import Node, recorded


def equal(_node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Equal."""
    return torch.eq(a, b)


def greater(_node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Greater."""
    return torch.gt(a, b)


def greater_or_equal(_node: Node, a: Tensor, b: Tensor) -> Tensor:
    """GreaterOrEqual."""
    return torch.ge(a, b)


def less(_node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Less."""
    return torch.lt(a, b)


def less_or_equal(_node: Node, a: Tensor, b: Tensor) -> Tensor:
    """LessOrEqual."""
    return torch.le(a, b)


def and_(_node: Node, a: Tensor, b: Tensor) -> Tensor:
    """And."""
    return torch.logical_and(a, b)


def or_(_node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Or."""
    return torch.logical_or(a, b)


def xor(_node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Xor."""
    return torch.logical_xor(a, b)


def not_(_node: Node, x: Tensor) -> Tensor:
    """Not."""
    return torch.logical_not(x)


def where(_node: Node, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Where: all three inputs broadcast together."""
    return torch.where(condition, a, b)


def is_nan(_node: Node, x: Tensor) -> Tensor:
    """IsNaN."""
    return torch.isnan(x)


def is_inf(node: Node, x: Tensor) -> Tensor:
    """IsInf, of either sign or both."""
    signs = (node.get("detect_negative", 1), node.get("detect_positive", 1))
    return find_infinities(x, has_negative=bool(signs[0]), has_positive=bool(signs[1]))


@recorded
def find_infinities(x: Tensor, *, has_negative: bool, has_positive: bool) -> Tensor:
    """Mark infinities of the wanted signs."""
    found = torch.isinf(x)
    found = found if has_negative else found & (x > 0)
    return found if has_positive else found & (x < 0)
