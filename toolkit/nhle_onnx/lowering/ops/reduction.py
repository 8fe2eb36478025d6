"""Reductions over axes."""

import torch
from torch import Tensor

from nhle_onnx.lowering.node import Node, to_ints


def reduce_mean(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """ReduceMean: axes are an attribute up to opset 17, an input after it; none means all."""
    listed = node.get("axes") if axes is None else to_ints(axes)
    if not listed and node.get("noop_with_empty_axes", 0):
        return x
    return torch.mean(
        x, dim=tuple(listed) if listed else None, keepdim=bool(node.get("keepdims", 1))
    )
