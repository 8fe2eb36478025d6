"""Recorded steps as arithmetic, however torch.fx recorded them."""

import operator
from collections.abc import Callable, Iterator, Sequence
from inspect import unwrap
from typing import Any, NamedTuple

import torch
from torch import fx, nn

from nhle_onnx.lowering.ops.elementwise import divide, raise_to
from nhle_onnx.lowering.ops.softmax import soften_flattened

# torch.fx records a method for a known tensor and a proxy, an operator for two proxies, and a
# `recorded` function without its wrapper.
_NAMES: dict[Any, str] = {
    operator.add: "add",
    "add": "add",
    operator.mul: "mul",
    "mul": "mul",
    operator.truediv: "div",
    unwrap(divide): "div",
    torch.matmul: "matmul",
    unwrap(raise_to): "pow",
    torch.erf: "erf",
    torch.tanh: "tanh",
    torch.sigmoid: "sigmoid",
    torch.softmax: "softmax",
    unwrap(soften_flattened): "flattened softmax",
    "to": "to",
}

_PAIR = 2


class Fused(NamedTuple):
    """The step that replaces several others: a function and its arguments."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class Steps:
    """The recorded steps of a module, whose stored tensors `root` holds."""

    def __init__(self, root: nn.Module) -> None:
        self._root = root

    def name(self, value: object) -> str:
        """Return what a step computes, or "" if `_NAMES` does not list it."""
        return _NAMES.get(value.target, "") if isinstance(value, fx.Node) else ""

    def read(self, value: object, name: str) -> tuple[Any, ...]:
        """Return the arguments of a step of this name, or () for any other value."""
        return value.args if isinstance(value, fx.Node) and self.name(value) == name else ()

    def read_inner(self, value: object, name: str) -> tuple[Any, ...]:
        """Do as `read`, for a step whose result nothing else needs."""
        is_inner = isinstance(value, fx.Node) and len(value.users) == 1
        return self.read(value, name) if is_inner else ()

    def find_tensor(self, value: object) -> torch.Tensor | None:
        """Return the stored tensor that a step reads, trained or not; None for any other step."""
        if not isinstance(value, fx.Node) or value.op != "get_attr":
            return None
        tensor: torch.Tensor = getattr(self._root, str(value.target))
        return tensor

    def find_number(self, value: object) -> float | None:
        """Return the number of an untrained constant with one element; None for any other value."""
        if isinstance(value, int | float):
            return float(value)
        tensor = self.find_tensor(value)
        if tensor is None or isinstance(tensor, nn.Parameter) or tensor.numel() != 1:
            return None
        return float(tensor)

    def find_factors(self, value: object) -> tuple[float, list[Any]]:
        """Return the constant factor of a product, and its other factors. Products inside it are
        taken apart. A quotient whose divisor is not a constant gives 1 and no factors.
        """
        constant, others = 1.0, []
        for item, divides in self._list_factors(value):
            number = self.find_number(item)
            if divides and not number:
                return 1.0, []
            if number is None:
                others.append(item)
            else:
                constant *= 1 / number if divides else number
        return constant, others

    def _list_factors(self, value: object) -> Iterator[tuple[Any, bool]]:
        quotient = self.read(value, "div")
        for item in (quotient or self.read(value, "mul"))[:1]:
            yield from self._list_parts(item)
        for item in quotient[1:]:
            yield item, True
        for item in self.read(value, "mul")[1:]:
            yield from self._list_parts(item)

    def _list_parts(self, item: object) -> Iterator[tuple[Any, bool]]:
        parts = self.read_inner(item, "mul") or self.read_inner(item, "div")
        if parts:
            yield from self._list_factors(item)
        else:
            yield item, False

    def find_polynomial(self, value: object, x: object) -> dict[int, float]:
        """Return coefficients by power of x; {} if the value is not a polynomial in x."""
        if value is x:
            return {1: 1.0}
        number = self.find_number(value)
        if number is not None:
            return {0: number}
        name = self.name(value)
        if name not in _ARITHMETIC or not isinstance(value, fx.Node):
            return {}
        first, second = (self.find_polynomial(item, x) for item in value.args)
        return _ARITHMETIC[name](first, second) if first and second else {}


def in_both_orders(operands: Sequence[Any]) -> tuple[Sequence[Any], ...]:
    """Return two operands as they are and swapped, or () for any other number of operands."""
    return (operands, operands[::-1]) if len(operands) == _PAIR else ()


def _add(a: dict[int, float], b: dict[int, float]) -> dict[int, float]:
    return {power: a.get(power, 0.0) + b.get(power, 0.0) for power in {*a, *b}}


def _multiply(a: dict[int, float], b: dict[int, float]) -> dict[int, float]:
    product: dict[int, float] = {}
    for left, factor in a.items():
        for right, other in b.items():
            product[left + right] = product.get(left + right, 0.0) + factor * other
    return product


def _divide(a: dict[int, float], b: dict[int, float]) -> dict[int, float]:
    return _multiply(a, {0: 1 / b[0]}) if [*b] == [0] and b[0] else {}


def _raise(a: dict[int, float], b: dict[int, float]) -> dict[int, float]:
    """Raise x itself to a small power; {} for other bases and powers."""
    power = b.get(0, 0.0)
    return {int(power): 1.0} if a == {1: 1.0} and [*b] == [0] and power in _POWERS else {}


_POWERS: Sequence[float] = (2.0, 3.0)
_ARITHMETIC = {"add": _add, "mul": _multiply, "div": _divide, "pow": _raise}
