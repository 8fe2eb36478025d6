"""Quantized values: floats that hold whole numbers, so that gradients pass.

Sums of their products are exact below 2²⁴, in any order. Rounding is half to even; its gradient
passes straight through, and is 0 where the number saturates.
"""

from typing import Any, NamedTuple

import torch
from onnx import TensorProto
from torch import Tensor

from nhle_onnx.graph.element_types import get_range, is_quantized
from nhle_onnx.lowering.node import Node, recorded


class _RoundStraight(torch.autograd.Function):
    """Round in one pass; autograd's own operators would take six, and keep a tensor for each."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, zero_point: Tensor | None, low: int, high: int) -> tuple[Tensor, Tensor]:
        numbers = x.round()
        if zero_point is not None:
            numbers += zero_point
        return numbers.clamp(low, high), numbers

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        _, _, low, high = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])
        ctx.saturated = low - 0.5, high + 0.5

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (numbers,) = ctx.saved_tensors
        passed = torch.ops.aten.hardtanh_backward(gradients[0], numbers, *ctx.saturated)
        return passed, None, None, None


@recorded
def round_straight(x: Tensor, zero_point: Tensor | None, low: int, high: int) -> Tensor:
    """Round to integers from `low` to `high`, zero point added, with the gradient of `x`."""
    rounded: tuple[Tensor, Tensor] = _RoundStraight.apply(x, zero_point, low, high)  # type: ignore[no-untyped-call]
    return rounded[0]


def round_weight(weight: Tensor, low: int, high: int) -> Tensor:
    """Round a trained weight to integers."""
    return round_straight(weight, None, low, high)


class Quantized(NamedTuple):
    """Integers that stand for steps of `scale` from a zero point."""

    numbers: Tensor
    scale: Tensor
    zero_point: Tensor | None = None

    def centre(self) -> Tensor:
        """Return the steps."""
        return centre(self.numbers, self.zero_point)

    def read(self) -> Tensor:
        """Return the real numbers."""
        return self.centre() * self.scale


def centre(x: Tensor, zero_point: Tensor | None) -> Tensor:
    """Count steps from the zero point."""
    return x.float() if zero_point is None else x.float() - zero_point.float()


def round_steps(node: Node, steps: Tensor, position: int, zero_point: Tensor | None) -> Tensor:
    """Round steps to an output's integers; its zero point is input `position`."""
    return round_straight(steps, zero_point, *read_range(node, position))


def round_numbers(node: Node, steps: Tensor, position: int, zero_point: Tensor | None) -> Tensor:
    """Do as `round_steps`, for kernels that add the zero point before rounding half to even."""
    steps = steps if zero_point is None else steps + zero_point.float()
    return round_straight(steps, None, *read_range(node, position))


def read_range(node: Node, position: int) -> tuple[int, int]:
    """Return the lowest and highest integer of a zero point's type; uint8 if it is left out."""
    kind = node.types[position] if position < len(node.types) else 0
    kind = kind or node.get("output_dtype", 0) or TensorProto.UINT8
    if not is_quantized(kind):
        raise node.refuse(f"to {TensorProto.DataType.Name(kind)}")
    return get_range(kind)
