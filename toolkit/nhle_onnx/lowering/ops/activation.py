"""Nonlinearities."""

import torch
from torch import Tensor
from torch.nn import functional

from nhle_onnx.lowering.node import Node, to_floats

_TORCH_HARD_SIGMOID = (round(1 / 6, 6), 0.5)


def clip(node: Node, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """Clip: bounds are attributes up to opset 10, constant inputs after it."""
    least = node.get("min") if low is None else to_floats(low)[0]
    most = node.get("max") if high is None else to_floats(high)[0]
    if least is None and most is None:
        return x
    return torch.clamp(x, least, most)


def dropout(_node: Node, x: Tensor, *_ratio_and_mode: Tensor | None) -> Tensor:
    """Dropout: the identity, as in inference."""
    return x


def elu(node: Node, x: Tensor) -> Tensor:
    """Elu."""
    return functional.elu(x, node.get("alpha", 1.0))


def gelu(node: Node, x: Tensor) -> Tensor:
    """Gelu, exact or by tanh."""
    return functional.gelu(x, approximate=node.get("approximate", "none"))


def hard_sigmoid(node: Node, x: Tensor) -> Tensor:
    """HardSigmoid: torch's own where the slope is 1/6 as in MobileNetV3, else by definition."""
    alpha, beta = node.get("alpha", 0.2), node.get("beta", 0.5)
    if (round(alpha, 6), beta) == _TORCH_HARD_SIGMOID:
        return functional.hardsigmoid(x)
    return torch.clamp(x * alpha + beta, 0.0, 1.0)


def hard_swish(_node: Node, x: Tensor) -> Tensor:
    """HardSwish."""
    return functional.hardswish(x)


def leaky_relu(node: Node, x: Tensor) -> Tensor:
    """LeakyRelu."""
    return functional.leaky_relu(x, node.get("alpha", 0.01))


def prelu(_node: Node, x: Tensor, slope: Tensor) -> Tensor:
    """PRelu: the slope broadcasts as in NumPy."""
    return torch.clamp(x, min=0.0) + slope * torch.clamp(x, max=0.0)


def relu(_node: Node, x: Tensor) -> Tensor:
    """Relu."""
    return functional.relu(x)


def sigmoid(_node: Node, x: Tensor) -> Tensor:
    """Sigmoid."""
    return torch.sigmoid(x)


def tanh(_node: Node, x: Tensor) -> Tensor:
    """Tanh."""
    return torch.tanh(x)


def softmax(node: Node, x: Tensor) -> Tensor:
    """Softmax over one axis (opset 13)."""
    return torch.softmax(x, node.get("axis", -1))


def log_softmax(node: Node, x: Tensor) -> Tensor:
    """LogSoftmax over one axis (opset 13)."""
    return torch.log_softmax(x, node.get("axis", -1))


def softmax_flattened(node: Node, x: Tensor) -> Tensor:
    """Softmax up to opset 12: over all axes from `axis` on, as one."""
    return torch.softmax(x.flatten(node.get("axis", 1)), -1).view_as(x)


def log_softmax_flattened(node: Node, x: Tensor) -> Tensor:
    """LogSoftmax up to opset 12: over all axes from `axis` on, as one."""
    return torch.log_softmax(x.flatten(node.get("axis", 1)), -1).view_as(x)
