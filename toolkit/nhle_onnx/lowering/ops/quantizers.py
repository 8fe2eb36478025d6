"""Operators between real numbers and integers."""

import torch
from torch import Tensor

from nhle_onnx.lowering.node import Node, Value, find_shape, recorded, with_shape
from nhle_onnx.lowering.ops.quantized import Quantized, round_steps, round_straight

_BYTE = (0, 255)


def quantize_linear(
    node: Node, x: Tensor, scale: Tensor, zero_point: Tensor | None = None
) -> Tensor:
    """QuantizeLinear, with one scale for each tensor, index or block."""
    steps = x / spread_parameter(node, x, scale)
    return round_steps(node, steps, 2, _spread_if_given(node, x, zero_point))


def dequantize_linear(
    node: Node, x: Tensor, scale: Tensor, zero_point: Tensor | None = None
) -> Value:
    """DequantizeLinear, with one scale for each tensor, index or block."""
    steps = Quantized(x, spread_parameter(node, x, scale), _spread_if_given(node, x, zero_point))
    return with_shape(steps.read(), find_shape(x))


def _spread_if_given(node: Node, x: Tensor, zero_point: Tensor | None) -> Tensor | None:
    return None if zero_point is None else spread_parameter(node, x, zero_point)


def spread_parameter(node: Node, x: Tensor, parameter: Tensor) -> Tensor:
    """Reshape a scale or zero point to fit its tensor."""
    if find_shape(parameter) in {None, (), (1,)}:  # only one for a whole tensor is computed
        return parameter.reshape(())
    return lay_along(x, parameter, int(node.get("axis", 1)), int(node.get("block_size", 0)))


@recorded
def lay_along(x: Tensor, parameter: Tensor, axis: int, block: int) -> Tensor:
    """Lay out one number for each index of an axis, or for each block of indices."""
    if block:
        return parameter.repeat_interleave(block, axis).narrow(axis, 0, x.shape[axis])
    shape = [1] * x.ndim
    shape[axis] = -1
    return parameter.reshape(shape)


@recorded
def find_span(x: Tensor) -> tuple[Tensor, Tensor]:
    """Find scale and zero point of DynamicQuantizeLinear; no gradient passes through either."""
    low, high = x.detach().min().clamp(max=0), x.detach().max().clamp(min=0)
    scale = (high - low) / _BYTE[1]
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return scale, (-low / scale).round().clamp(*_BYTE)


def dynamic_quantize_linear(_node: Node, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """DynamicQuantizeLinear: uint8 over the range of the whole batch."""
    span = find_span(x)
    scale, zero_point = span[0], span[1]
    return round_straight(x / scale, zero_point, *_BYTE), scale, zero_point
