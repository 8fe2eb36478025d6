"""Quantized layers, as ONNX Runtime's integer kernels compute them.

A quantized tensor is represented by a float tensor of whole numbers, so that gradients pass. Sums
of their products are exact below 2²⁴, in any order. Rounding is half to even; its gradient passes
straight through, and is 0 where the number saturates.
"""

import math
from typing import Any, NamedTuple

import torch
from onnx import TensorProto
from torch import Tensor

from nhle_onnx.graph.element_types import get_range, is_quantized
from nhle_onnx.graph.packed import unpack
from nhle_onnx.lowering.node import Node, Value, find_shape, recorded, to_constant, with_shape
from nhle_onnx.lowering.ops.linear import conv, round_blocks
from nhle_onnx.lowering.ops.pooling import average_pool

_WEIGHT_RANK = 2
_BIAS = 8  # input position in a QLinearConv
_BYTE = (0, 255)
_ROUNDING = 4  # the accuracy level of a MatMulNBits that rounds its inputs to 8 bits


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


def read_whole(weight: Tensor, low: int, high: int) -> Tensor:
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


def mat_mul_integer(
    _node: Node, a: Tensor, b: Tensor, a_zero: Tensor | None = None, b_zero: Tensor | None = None
) -> Tensor:
    """MatMulInteger."""
    return torch.matmul(centre(a, a_zero), centre(b, b_zero))


def mat_mul_n_bits(
    node: Node,
    x: Tensor,
    weight: Tensor,
    scales: Tensor,
    zero_points: Tensor | None = None,
    order: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """MatMulNBits, of rows of numbers that were packed; a scale for each block of a row."""
    rows, width, block = (int(node.get(name, 0)) for name in ("N", "K", "block_size"))
    blocks = -(-width // max(1, block))
    if order is not None or find_shape(weight) != (rows, width):
        raise node.refuse("with features in another order, or a weight of another size")
    if to_constant(scales).numel() != rows * blocks:
        raise node.refuse("with scales that do not fit")
    zero = _read_packed_points(node, zero_points, rows, blocks)
    steps = centre(weight, lay_along(weight, zero, 1, block))
    numbers = steps * lay_along(weight, scales.reshape(rows, blocks), 1, block)
    if node.get("accuracy_level", 0) == _ROUNDING:
        x = round_blocks(x, block)
    product = torch.matmul(x, numbers.transpose(0, 1))
    return product if bias is None else product + bias


def _read_packed_points(node: Node, points: Tensor | None, rows: int, blocks: int) -> Tensor:
    """The zero points [N, blocks] of packed numbers: packed as well, or real; else the middle."""
    bits = int(node.get("bits", 4))
    if points is None:
        return torch.full((rows, blocks), 2.0 ** (bits - 1))
    stored = to_constant(points)
    if stored.dtype != torch.uint8:
        return stored.float().reshape(rows, blocks)
    found = unpack(stored.reshape(rows, -1).numpy(), bits, blocks)
    return torch.from_numpy(found).float()


def conv_integer(
    node: Node, x: Tensor, weight: Tensor, x_zero: Tensor | None = None, zero: Tensor | None = None
) -> Tensor:
    """ConvInteger: padded with the zero point, which is 0 once centred."""
    return convolve(node, x, x_zero, weight, zero, None)


def convolve(
    node: Node,
    x: Tensor,
    x_zero: Tensor | None,
    weight: Tensor,
    zero: Tensor | None,
    bias: Tensor | None,
) -> Tensor:
    """Sum products of centred numbers; the weight may have one zero point for each channel."""
    kernel = find_shape(weight)
    if kernel is None:
        raise node.refuse("with a computed weight")
    if zero is not None:
        zero = _reshape_per_channel(zero, (-1, *[1] * (len(kernel) - 1)))
    sized = node if node.get("kernel_shape") else node.with_attributes(kernel_shape=kernel[2:])
    return conv(sized, centre(x, x_zero), centre(weight, zero), bias)


def q_linear_conv(node: Node, *inputs: Tensor) -> Tensor:
    """QLinearConv."""
    if node.get("channels_last", 0):
        raise node.refuse("with channels_last")
    x, weight = Quantized(*inputs[:3]), Quantized(*inputs[3:6])
    y_scale, y_zero = inputs[6:8]
    bias = inputs[8] if len(inputs) > _BIAS else None
    sums = convolve(node, x.numbers, x.zero_point, weight.numbers, weight.zero_point, bias)
    axes = len(find_shape(weight.numbers) or ()) - _WEIGHT_RANK
    multiplier = _reshape_per_channel(x.scale * weight.scale / y_scale, (-1, *[1] * axes))
    return round_steps(node, sums * multiplier, 7, y_zero)


def _reshape_per_channel(parameter: Tensor, shape: tuple[int, ...]) -> Tensor:
    is_one = math.prod(find_shape(parameter) or ()) == 1
    return parameter.reshape(()) if is_one else parameter.reshape(shape)


def q_linear_matmul(node: Node, *inputs: Tensor) -> Tensor:
    """QLinearMatMul."""
    a, b = Quantized(*inputs[:3]), Quantized(*inputs[3:6])
    y_scale, y_zero = inputs[6:]
    sums = torch.matmul(a.centre(), b.centre())
    return round_steps(node, sums * (a.scale * b.scale / y_scale), 7, y_zero)


def q_gemm(node: Node, *inputs: Tensor) -> Tensor:
    """QGemm of com.microsoft; without an output scale, its output is in floats."""
    a, b = Quantized(*inputs[:3]), Quantized(*inputs[3:6])
    bias, y_scale, y_zero = (*inputs[6:], None, None, None)[:3]
    has_rows = bool(node.get("transB", 0))
    if b.zero_point is not None:
        shape = (-1, 1) if has_rows else (1, -1)
        b = b._replace(zero_point=_reshape_per_channel(b.zero_point, shape))
    left = a.centre().transpose(0, 1) if node.get("transA", 0) else a.centre()
    right = b.centre().transpose(0, 1) if has_rows else b.centre()
    sums: Tensor = torch.matmul(left, right)
    if bias is not None:
        sums = sums + bias.float()
    multiplier = node.get("alpha", 1.0) * a.scale * b.scale
    if y_scale is None:
        real: Tensor = sums * multiplier
        return real
    return round_steps(node, sums * (multiplier / y_scale), 8, y_zero)


def q_linear_global_average_pool(node: Node, *inputs: Tensor) -> Tensor:
    """QLinearGlobalAveragePool of com.microsoft."""
    x, (y_scale, y_zero) = Quantized(*inputs[:3]), inputs[3:]
    is_last = bool(node.get("channels_last", 0))
    return round_steps(node, pool_steps(x.centre(), x.scale, y_scale, is_last=is_last), 4, y_zero)


@recorded
def pool_steps(x: Tensor, scale: Tensor, y_scale: Tensor, *, is_last: bool) -> Tensor:
    """Average over the spatial axes, in steps of the output; sums are scaled once."""
    axes = tuple(range(1, x.ndim - 1) if is_last else range(2, x.ndim))
    count = math.prod(x.shape[axis] for axis in axes)
    return x.sum(axes, keepdim=True) * (scale / (y_scale * count))


def q_linear_average_pool(node: Node, *inputs: Tensor) -> Tensor:
    """QLinearAveragePool of com.microsoft: in floats, unless one window covers the input."""
    if node.get("channels_last", 0):
        raise node.refuse("with channels_last")
    x, (y_scale, y_zero) = Quantized(*inputs[:3]), inputs[3:]
    windows = round_numbers(node, average_pool(node, x.read()) / y_scale, 4, y_zero)
    if any(node.get("pads", ())):
        return windows
    whole = q_linear_global_average_pool(node, *inputs)
    return choose_pool(x.numbers, tuple(node.get("kernel_shape")), whole, windows)


@recorded
def choose_pool(x: Tensor, kernel: tuple[int, ...], whole: Tensor, windows: Tensor) -> Tensor:
    """Use the global pool's result where one window covers the input."""
    return whole if x.shape[2:] == kernel and whole.shape == windows.shape else windows
