"""Integers bit by bit."""

import torch
from torch import Tensor

from nhle_onnx.lowering.node import Node


def bit_shift(node: Node, x: Tensor, amount: Tensor) -> Tensor:
    """BitShift, of unsigned integers."""
    if node.get("direction") == "LEFT":
        return torch.bitwise_left_shift(x, amount)
    return torch.bitwise_right_shift(x, amount)


def bitwise_and(_node: Node, a: Tensor, b: Tensor) -> Tensor:
    """BitwiseAnd."""
    return torch.bitwise_and(a, b)


def bitwise_or(_node: Node, a: Tensor, b: Tensor) -> Tensor:
    """BitwiseOr."""
    return torch.bitwise_or(a, b)


def bitwise_xor(_node: Node, a: Tensor, b: Tensor) -> Tensor:
    """BitwiseXor."""
    return torch.bitwise_xor(a, b)


def bitwise_not(_node: Node, x: Tensor) -> Tensor:
    """BitwiseNot."""
    return torch.bitwise_not(x)
