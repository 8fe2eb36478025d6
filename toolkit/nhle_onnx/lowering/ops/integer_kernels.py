"""Quantized layers, as ONNX Runtime's integer kernels compute them."""

import math

import torch
from torch import Tensor

from nhle_onnx.lowering.node import Node, find_shape, recorded
from nhle_onnx.lowering.ops.linear import conv
from nhle_onnx.lowering.ops.pooling import average_pool
from nhle_onnx.lowering.ops.quantized import Quantized, centre, round_numbers, round_steps

_WEIGHT_RANK = 2
_BIAS = 8  # input position in a QLinearConv


def mat_mul_integer(
    _node: Node, a: Tensor, b: Tensor, a_zero: Tensor | None = None, b_zero: Tensor | None = None
) -> Tensor:
    """MatMulInteger."""
    return torch.matmul(centre(a, a_zero), centre(b, b_zero))


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
