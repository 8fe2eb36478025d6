"""Elementwise arithmetic."""

import functools

import torch
from torch import Tensor, fx

from nhle_onnx.lowering.node import Node, recorded


def add(_node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Add."""
    return a + b


def sub(_node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Sub."""
    return a - b


def mul(_node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Mul."""
    return a * b


def div(_node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Div: integers truncate toward zero, as ONNX Runtime does."""
    known = a if isinstance(b, fx.Proxy) else b
    if isinstance(known, fx.Proxy) or not known.is_floating_point():
        return divide(a, b)
    return a / b


@recorded
def divide(a: Tensor, b: Tensor) -> Tensor:
    """Divide floats, or integers with truncation toward zero."""
    return torch.div(a, b, rounding_mode=None if a.is_floating_point() else "trunc")


def mod(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Mod: the sign is the divisor's, or with `fmod` the dividend's."""
    return torch.fmod(a, b) if node.get("fmod", 0) else torch.remainder(a, b)


def pow(_node: Node, a: Tensor, b: Tensor) -> Tensor:  # noqa: A001 - the operator's name
    """Pow, in the type of the base."""
    return raise_to(a, b if isinstance(b, fx.Proxy) or b.ndim else b.item())


@recorded
def raise_to(base: Tensor, power: Tensor | float) -> Tensor:
    """Raise to a power, in the type of the base."""
    return torch.pow(base, power).to(base.dtype)


def max(_node: Node, *operands: Tensor) -> Tensor:  # noqa: A001 - the operator's name
    """Max of any number of tensors."""
    return functools.reduce(torch.maximum, operands)


def min(_node: Node, *operands: Tensor) -> Tensor:  # noqa: A001 - the operator's name
    """Min of any number of tensors."""
    return functools.reduce(torch.minimum, operands)


def sum(_node: Node, *operands: Tensor) -> Tensor:  # noqa: A001 - the operator's name
    """Sum of any number of tensors."""
    return functools.reduce(torch.add, operands)


def mean(_node: Node, *operands: Tensor) -> Tensor:
    """Mean of any number of tensors."""
    return functools.reduce(torch.add, operands) / len(operands)


def abs(_node: Node, x: Tensor) -> Tensor:  # noqa: A001 - the operator's name
    """Abs."""
    return torch.abs(x)


def neg(_node: Node, x: Tensor) -> Tensor:
    """Neg."""
    return torch.neg(x)


def sign(_node: Node, x: Tensor) -> Tensor:
    """Sign."""
    return torch.sign(x)


def reciprocal(_node: Node, x: Tensor) -> Tensor:
    """Reciprocal."""
    return torch.reciprocal(x)


def sqrt(_node: Node, x: Tensor) -> Tensor:
    """Sqrt."""
    return torch.sqrt(x)


def exp(_node: Node, x: Tensor) -> Tensor:
    """Exp."""
    return torch.exp(x)


def log(_node: Node, x: Tensor) -> Tensor:
    """Log, natural."""
    return torch.log(x)


def erf(_node: Node, x: Tensor) -> Tensor:
    """Erf."""
    return torch.erf(x)


def floor(_node: Node, x: Tensor) -> Tensor:
    """Floor."""
    return torch.floor(x)


def ceil(_node: Node, x: Tensor) -> Tensor:
    """Ceil."""
    return torch.ceil(x)


def round(_node: Node, x: Tensor) -> Tensor:  # noqa: A001 - the operator's name
    """Round: halves to the even neighbour, as torch does."""
    return torch.round(x)
