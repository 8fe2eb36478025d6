"""Products with weights of a few bits, several of them packed into each byte."""

import torch
from torch import Tensor

from nhle_onnx.graph.packed import unpack
from nhle_onnx.lowering.node import Node, find_shape, to_constant
from nhle_onnx.lowering.ops.linear import round_blocks
from nhle_onnx.lowering.ops.quantized import centre
from nhle_onnx.lowering.ops.quantizers import lay_along

_ROUNDS_INPUTS = 4  # the accuracy level that rounds inputs to 8 bits


def mat_mul_n_bits(
    node: Node,
    x: Tensor,
    weight: Tensor,
    scales: Tensor,
    zero_points: Tensor | None = None,
    order: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """MatMulNBits: `weight` holds rows of unpacked numbers; each block of a row has a scale."""
    rows, width, block = (int(node.get(name, 0)) for name in ("N", "K", "block_size"))
    blocks = -(-width // max(1, block))
    if order is not None or find_shape(weight) != (rows, width):
        raise node.refuse("with features in another order, or a weight of another size")
    if to_constant(scales).numel() != rows * blocks:
        raise node.refuse("with scales that do not fit")
    zero = _read_packed_points(node, zero_points, rows, blocks)
    steps = centre(weight, lay_along(weight, zero, 1, block))
    numbers = steps * lay_along(weight, scales.reshape(rows, blocks), 1, block)
    if node.get("accuracy_level", 0) == _ROUNDS_INPUTS:
        x = round_blocks(x, block)
    product = torch.matmul(x, numbers.transpose(0, 1))
    return product if bias is None else product + bias


def _read_packed_points(node: Node, points: Tensor | None, rows: int, blocks: int) -> Tensor:
    """Return the zero points [N, blocks], which are stored packed or as real numbers; by default,
    the middle of the range.
    """
    bits = int(node.get("bits", 4))
    if points is None:
        return torch.full((rows, blocks), 2.0 ** (bits - 1))
    stored = to_constant(points)
    if stored.dtype != torch.uint8:
        return stored.float().reshape(rows, blocks)
    found = unpack(stored.reshape(rows, -1).numpy(), bits, blocks)
    return torch.from_numpy(found).float()
