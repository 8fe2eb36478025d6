"""Elementwise nonlinearities."""

import torch
from torch import Tensor, fx
from torch.nn import functional

from nhle_onnx.lowering.node import Node, recorded, to_constant

_TORCH_HARD_SIGMOID = (round(1 / 6, 6), 0.5)
_TORCH_SELU = (1.673263, 1.050701)
_BOOLEAN_MASK_OPSET = 10  # since which Dropout's mask is boolean


def clip(node: Node, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """Clip: bounds are attributes up to opset 10, inputs after it."""
    if isinstance(low, fx.Proxy) or isinstance(high, fx.Proxy):
        return torch.clamp(x, low, high)
    least = node.get("min") if low is None else low.item()
    most = node.get("max") if high is None else high.item()
    if least is None and most is None:
        return x
    return torch.clamp(x, least, most)


def dropout(node: Node, x: Tensor, *inputs: Tensor | None) -> Tensor | tuple[Tensor, Tensor]:
    """Dropout in inference: the identity, with a mask that keeps everything."""
    ratio, is_training = (*inputs, None, None)[:2]
    drops = ratio is None or float(to_constant(ratio)) != 0.0
    if drops and is_training is not None and bool(to_constant(is_training)):
        raise node.refuse("in training mode")
    if node.num_outputs == 1:
        return x
    is_boolean = node.opset >= _BOOLEAN_MASK_OPSET
    return x, torch.ones_like(x, dtype=torch.bool if is_boolean else None)


def celu(node: Node, x: Tensor) -> Tensor:
    """Celu."""
    return functional.celu(x, node.get("alpha", 1.0))


def elu(node: Node, x: Tensor) -> Tensor:
    """Elu."""
    return functional.elu(x, node.get("alpha", 1.0))


def gelu(node: Node, x: Tensor) -> Tensor:
    """Gelu, exact or by tanh."""
    return functional.gelu(x, approximate=node.get("approximate", "none"))


def hard_sigmoid(node: Node, x: Tensor) -> Tensor:
    """HardSigmoid: torch's own for the slope 1/6 of MobileNetV3, otherwise by definition. Where the
    last bit matters, the definition serves as well: it reproduces ONNX Runtime's.
    """
    alpha, beta = node.get("alpha", 0.2), node.get("beta", 0.5)
    if (round(alpha, 6), beta) == _TORCH_HARD_SIGMOID and not node.is_exact:
        return functional.hardsigmoid(x)
    return _clamp_line(x, alpha, beta)


def hard_swish(node: Node, x: Tensor) -> Tensor:
    """HardSwish: torch's own, or by definition where the last bit matters."""
    if node.is_exact:
        return x * _clamp_line(x, 1 / 6, 0.5)
    return functional.hardswish(x)


def _clamp_line(x: Tensor, slope: float, offset: float) -> Tensor:
    return torch.clamp(x * slope + offset, 0.0, 1.0)


def leaky_relu(node: Node, x: Tensor) -> Tensor:
    """LeakyRelu."""
    return functional.leaky_relu(x, node.get("alpha", 0.01))


def mish(_node: Node, x: Tensor) -> Tensor:
    """Mish."""
    return functional.mish(x)


def prelu(_node: Node, x: Tensor, slope: Tensor) -> Tensor:
    """PRelu."""
    return rectify(x, slope)


@recorded
def rectify(x: Tensor, slope: Tensor) -> Tensor:
    """Broadcast the slope as NumPy does; torch's own takes one slope for each channel."""
    is_by_channel = 1 <= slope.ndim == x.ndim - 1 and slope.numel() == slope.shape[0]
    if is_by_channel and x.is_floating_point():
        by_channel: Tensor = functional.prelu(x, slope.reshape(-1))
        return by_channel
    return torch.clamp(x, min=0) + slope * torch.clamp(x, max=0)


def relu(_node: Node, x: Tensor) -> Tensor:
    """Relu."""
    return functional.relu(x)


def selu(node: Node, x: Tensor) -> Tensor:
    """Selu: torch's own with the usual constants, else by definition."""
    alpha, gamma = node.get("alpha", _TORCH_SELU[0]), node.get("gamma", _TORCH_SELU[1])
    if (round(alpha, 6), round(gamma, 6)) == _TORCH_SELU:
        return functional.selu(x)
    return torch.mul(functional.elu(x, alpha), gamma)


def shrink(node: Node, x: Tensor) -> Tensor:
    """Shrink: zero between -lambd and lambd; outside, `bias` nearer to zero."""
    bias, bound = node.get("bias", 0.0), node.get("lambd", 0.5)
    inner = torch.zeros_like(x)
    return torch.where(x < -bound, x + bias, torch.where(x > bound, x - bias, inner))


def sigmoid(_node: Node, x: Tensor) -> Tensor:
    """Sigmoid."""
    return torch.sigmoid(x)


def softplus(_node: Node, x: Tensor) -> Tensor:
    """Softplus."""
    return functional.softplus(x)


def softsign(_node: Node, x: Tensor) -> Tensor:
    """Softsign."""
    return functional.softsign(x)


def swish(node: Node, x: Tensor) -> Tensor:
    """Swish: x · sigmoid(alpha · x)."""
    alpha = node.get("alpha", 1.0)
    return functional.silu(x) if alpha == 1.0 else x * torch.sigmoid(x * alpha)


def tanh(_node: Node, x: Tensor) -> Tensor:
    """Tanh."""
    return torch.tanh(x)


def thresholded_relu(node: Node, x: Tensor) -> Tensor:
    """ThresholdedRelu: zero up to alpha, the identity above it."""
    return functional.threshold(x, node.get("alpha", 1.0), 0.0)
