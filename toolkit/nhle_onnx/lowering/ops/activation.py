"""Nonlinearities."""

import torch
from torch.nn import functional

from nhle_onnx.lowering.node import Node, Value, to_floats


def clip(node: Node, x: Value, low: Value | None = None, high: Value | None = None) -> Value:
    """Clip: bounds are attributes up to opset 10, constant inputs after it."""
    least = node.get("min") if low is None else to_floats(low)[0]
    most = node.get("max") if high is None else to_floats(high)[0]
    if least is None and most is None:
        return x
    return torch.clamp(x, least, most)


def dropout(_node: Node, x: Value, *_ratio_and_mode: Value | None) -> Value:
    """Dropout: the identity, as in inference."""
    return x


def elu(node: Node, x: Value) -> Value:
    """Elu."""
    return functional.elu(x, node.get("alpha", 1.0))


def gelu(node: Node, x: Value) -> Value:
    """Gelu, exact or by tanh."""
    return functional.gelu(x, approximate=node.get("approximate", "none"))


def hard_sigmoid(node: Node, x: Value) -> Value:
    """HardSigmoid: torch's own where the slope is 1/6 as in MobileNetV3, else by definition."""
    alpha, beta = node.get("alpha", 0.2), node.get("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return functional.hardsigmoid(x)
    return torch.clamp(x * alpha + beta, 0.0, 1.0)


def hard_swish(_node: Node, x: Value) -> Value:
    """HardSwish."""
    return functional.hardswish(x)


def leaky_relu(node: Node, x: Value) -> Value:
    """LeakyRelu."""
    return functional.leaky_relu(x, node.get("alpha", 0.01))


def prelu(_node: Node, x: Value, slope: Value) -> Value:
    """PRelu: the slope broadcasts as in NumPy."""
    return torch.clamp(x, min=0.0) + slope * torch.clamp(x, max=0.0)


def relu(_node: Node, x: Value) -> Value:
    """Relu."""
    return functional.relu(x)


def sigmoid(_node: Node, x: Value) -> Value:
    """Sigmoid."""
    return torch.sigmoid(x)


def tanh(_node: Node, x: Value) -> Value:
    """Tanh."""
    return torch.tanh(x)


def softmax(node: Node, x: Value) -> Value:
    """Softmax over one axis (opset 13)."""
    return torch.softmax(x, node.get("axis", -1))


def log_softmax(node: Node, x: Value) -> Value:
    """LogSoftmax over one axis (opset 13)."""
    return torch.log_softmax(x, node.get("axis", -1))


def softmax_flattened(node: Node, x: Value) -> Value:
    """Softmax up to opset 12: over all axes from `axis` on, as one."""
    return torch.softmax(x.flatten(node.get("axis", 1)), -1).view_as(x)


def log_softmax_flattened(node: Node, x: Value) -> Value:
    """LogSoftmax up to opset 12: over all axes from `axis` on, as one."""
    return torch.log_softmax(x.flatten(node.get("axis", 1)), -1).view_as(x)
