"""Pooling over all spatial axes, which stay as ones."""

import torch
from torch import Tensor

from nhle_onnx.lowering.node import Node, recorded


def global_average_pool(_node: Node, x: Tensor) -> Tensor:
    """GlobalAveragePool over the spatial axes, kept as ones."""
    return mean_of_planes(x)


@recorded
def mean_of_planes(x: Tensor) -> Tensor:
    """Return the mean over all axes except the first two."""
    return torch.mean(x, dim=tuple(range(2, x.ndim)), keepdim=True)


def global_max_pool(_node: Node, x: Tensor) -> Tensor:
    """GlobalMaxPool over the spatial axes, kept as ones."""
    return max_of_planes(x)


@recorded
def max_of_planes(x: Tensor) -> Tensor:
    """Return the largest value over all axes except the first two."""
    return torch.amax(x, dim=tuple(range(2, x.ndim)), keepdim=True)


def global_lp_pool(node: Node, x: Tensor) -> Tensor:
    """GlobalLpPool: the p-norm over the spatial axes, kept as ones."""
    return norm_of_planes(x, float(node.get("p", 2)))


@recorded
def norm_of_planes(x: Tensor, order: float) -> Tensor:
    """Return the norm over all axes except the first two."""
    dims = tuple(range(2, x.ndim))
    norm: Tensor = torch.linalg.vector_norm(x, order, dim=dims, keepdim=True)
    return norm
