"""Softmax and related operators: over one axis since opset 13, over all from `axis` on before."""

import torch
from torch import Tensor

from nhle_onnx.lowering.node import Node, recorded
from nhle_onnx.lowering.ops.shape import flatten_at


def softmax(node: Node, x: Tensor) -> Tensor:
    """Softmax over one axis (opset 13)."""
    return torch.softmax(x, node.get("axis", -1))


def log_softmax(node: Node, x: Tensor) -> Tensor:
    """LogSoftmax over one axis (opset 13)."""
    return torch.log_softmax(x, node.get("axis", -1))


def hardmax(node: Node, x: Tensor) -> Tensor:
    """Hardmax over one axis (opset 13)."""
    return mark_first_largest(x, node.get("axis", -1))


def softmax_flattened(node: Node, x: Tensor) -> Tensor:
    """Softmax up to opset 12: over all axes from `axis` on, as one."""
    return soften_flattened(x, node.get("axis", 1))


@recorded
def soften_flattened(x: Tensor, axis: int) -> Tensor:
    """Take a softmax over all axes from `axis` on."""
    return torch.softmax(flatten_at(x, axis), -1).view_as(x)


def log_softmax_flattened(node: Node, x: Tensor) -> Tensor:
    """LogSoftmax up to opset 12: over all axes from `axis` on, as one."""
    return torch.log_softmax(flatten_at(x, node.get("axis", 1)), -1).view_as(x)


def hardmax_flattened(node: Node, x: Tensor) -> Tensor:
    """Hardmax up to opset 12: over all axes from `axis` on, as one."""
    return mark_first_largest(flatten_at(x, node.get("axis", 1)), -1).view_as(x)


@recorded
def mark_first_largest(x: Tensor, axis: int) -> Tensor:
    """Return 1 at the first largest value along an axis, 0 elsewhere."""
    return torch.zeros_like(x).scatter(axis, x.argmax(axis, keepdim=True), 1)
