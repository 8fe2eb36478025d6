"""Trigonometric and hyperbolic functions."""

import torch
from torch import Tensor

from nhle_onnx.lowering.node import Node


def sin(_node: Node, x: Tensor) -> Tensor:
    """Sin."""
    return torch.sin(x)


def cos(_node: Node, x: Tensor) -> Tensor:
    """Cos."""
    return torch.cos(x)


def tan(_node: Node, x: Tensor) -> Tensor:
    """Tan."""
    return torch.tan(x)


def asin(_node: Node, x: Tensor) -> Tensor:
    """Asin."""
    return torch.asin(x)


def acos(_node: Node, x: Tensor) -> Tensor:
    """Acos."""
    return torch.acos(x)


def atan(_node: Node, x: Tensor) -> Tensor:
    """Atan."""
    return torch.atan(x)


def sinh(_node: Node, x: Tensor) -> Tensor:
    """Sinh."""
    return torch.sinh(x)


def cosh(_node: Node, x: Tensor) -> Tensor:
    """Cosh."""
    return torch.cosh(x)


def asinh(_node: Node, x: Tensor) -> Tensor:
    """Asinh."""
    return torch.asinh(x)


def acosh(_node: Node, x: Tensor) -> Tensor:
    """Acosh."""
    return torch.acosh(x)


def atanh(_node: Node, x: Tensor) -> Tensor:
    """Atanh."""
    return torch.atanh(x)
