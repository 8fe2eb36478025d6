"""Convolution and matrix products."""

import torch
from torch import Tensor
from torch.nn import functional

from nhle_onnx.lowering.node import Node, find_shape, is_computed, recorded
from nhle_onnx.lowering.ops.spatial import find_even_padding, pad_window, read_window

_CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_PLANE = 2
_STEPS = 127
_TINY = 1e-30


def conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Conv: torch computes the same correlation; uneven padding is applied first."""
    window = read_window(node, read_kernel(node, weight))
    rank = len(window.kernel)
    if rank not in _CONVOLUTIONS:
        raise node.refuse(f"over {rank} axes")
    padding = find_even_padding(window)
    if padding is None:
        x = pad_window(x, window, 0.0)
    if rank == _PLANE and is_computed(weight):
        weight = lay_out_channels_last(weight)
    result: Tensor = _CONVOLUTIONS[rank](
        x,
        weight,
        bias,
        stride=window.strides,
        padding=padding or (0,) * rank,
        dilation=window.dilations,
        groups=node.get("group", 1),
    )
    return result


@recorded
def lay_out_channels_last(weight: Tensor) -> Tensor:
    """Lay out a kernel as training lays out its parameters, channels last. With one channel, or a
    kernel of 1 x 1, both layouts are the same in memory, and torch chooses its method by the
    strides: the wrong ones take up to 50 times as long.
    """
    _, channels, _, width = weight.shape
    if weight.stride() == (weight[0].numel(), 1, width * channels, channels):
        return weight
    return weight.clone(memory_format=torch.channels_last)


def read_kernel(node: Node, weight: Tensor) -> tuple[int, ...]:
    """Read the kernel's extents from the attribute, or else from the weight's shape."""
    kernel = node.get("kernel_shape")
    if kernel is None:
        shape = find_shape(weight)
        kernel = None if shape is None else shape[2:]
    if kernel is None:
        raise node.refuse("without kernel_shape and with a computed weight")
    return tuple(kernel)


def einsum(node: Node, *operands: Tensor) -> Tensor:
    """Einsum: torch reads the same equations."""
    return torch.einsum(node.get("equation"), *operands)


def gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """Gemm: alpha · A · B + beta · C; a single `linear` for the form that exporters write."""
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    a = _round_inputs(node, a.transpose(0, 1) if node.get("transA", 0) else a)
    if node.get("transB", 0) and alpha == beta == 1.0 and _is_bias(c):
        return functional.linear(a, b, c)
    product: Tensor = torch.matmul(a, b.transpose(0, 1) if node.get("transB", 0) else b)
    product = product if alpha == 1.0 else product * alpha
    if c is None:
        return product
    return product + (c if beta == 1.0 else c * beta)


def _is_bias(c: Tensor | None) -> bool:
    shape = None if c is None else find_shape(c)
    return c is None or (shape is not None and len(shape) == 1)


def matmul(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """MatMul, by NumPy's rules, which torch shares."""
    return torch.matmul(_round_inputs(node, a), b)


def _round_inputs(node: Node, a: Tensor) -> Tensor:
    return round_blocks(a, node.rounding_block) if node.rounding_block else a


@recorded
def round_blocks(x: Tensor, block: int) -> Tensor:
    """Round inputs [..., K] as MatMulNBits does: each block in steps of 1/127 of its largest value.
    The gradient passes straight through.
    """
    blocks = functional.pad(x, (0, -x.shape[-1] % block)).unflatten(-1, (-1, block))
    largest = blocks.abs().amax(-1, keepdim=True).clamp_min(_TINY)
    rounded = (blocks * (_STEPS / largest)).round() * (largest / _STEPS)
    result: Tensor = rounded.flatten(-2)[..., : x.shape[-1]].detach() + (x - x.detach())
    return result
