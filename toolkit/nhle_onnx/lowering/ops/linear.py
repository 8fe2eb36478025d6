"""Convolution and matrix products."""

import torch
from torch import Tensor
from torch.nn import functional

from nhle_onnx.lowering.node import Node
from nhle_onnx.lowering.ops.spatial import read_pads, read_symmetric_padding, to_torch_pad

_CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


def conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Conv: torch computes the same correlation; uneven padding is applied first."""
    rank = len(node.get("kernel_shape") or weight.shape[2:])
    padding = read_symmetric_padding(node, rank)
    if padding is None:
        x = functional.pad(x, to_torch_pad(read_pads(node, rank)))
    result: Tensor = _CONVOLUTIONS[rank](
        x,
        weight,
        bias,
        stride=tuple(node.get("strides", [1] * rank)),
        padding=padding or (0,) * rank,
        dilation=tuple(node.get("dilations", [1] * rank)),
        groups=node.get("group", 1),
    )
    return result


def gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """Gemm: alpha · A · B + beta · C, as one `linear` in the form that exporters write."""
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    a = a.transpose(0, 1) if node.get("transA", 0) else a
    if node.get("transB", 0) and alpha == beta == 1.0:
        return functional.linear(a, b, c)
    product: Tensor = torch.matmul(a, b.transpose(0, 1) if node.get("transB", 0) else b)
    product = product if alpha == 1.0 else product * alpha
    if c is None:
        return product
    return product + (c if beta == 1.0 else c * beta)


def matmul(_node: Node, a: Tensor, b: Tensor) -> Tensor:
    """MatMul: NumPy's rules, which are torch's."""
    return torch.matmul(a, b)
