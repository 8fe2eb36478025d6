"""Quantized operators without weights of their own: real numbers in between (com.microsoft)."""

import torch
from torch import Tensor
from torch.nn import functional

from nhle_onnx.lowering.node import Node
from nhle_onnx.lowering.ops.quantized import Quantized, round_steps

_OPERAND = 3  # numbers, their scale and their zero point
_SOFTMAX_PER_AXIS = 13  # the opset whose rules its attribute `opset` names


def q_linear_add(node: Node, *inputs: Tensor) -> Tensor:
    """QLinearAdd."""
    a, b = Quantized(*inputs[:3]), Quantized(*inputs[3:6])
    return _round(node, a.read() + b.read(), 6, *inputs[6:])


def q_linear_mul(node: Node, *inputs: Tensor) -> Tensor:
    """QLinearMul."""
    a, b = Quantized(*inputs[:3]), Quantized(*inputs[3:6])
    return _round(node, a.read() * b.read(), 6, *inputs[6:])


def q_linear_concat(node: Node, scale: Tensor, zero_point: Tensor, *operands: Tensor) -> Tensor:
    """QLinearConcat: operands of scales of their own."""
    parts = [
        Quantized(*operands[start : start + _OPERAND]).read()
        for start in range(0, len(operands), _OPERAND)
    ]
    return _round(node, torch.cat(parts, node.get("axis")), 0, scale, zero_point)


def q_linear_sigmoid(node: Node, *inputs: Tensor) -> Tensor:
    """QLinearSigmoid."""
    return _round(node, torch.sigmoid(Quantized(*inputs[:3]).read()), 3, *inputs[3:])


def q_linear_leaky_relu(node: Node, *inputs: Tensor) -> Tensor:
    """QLinearLeakyRelu."""
    real = functional.leaky_relu(Quantized(*inputs[:3]).read(), node.get("alpha", 0.01))
    return _round(node, real, 3, *inputs[3:])


def q_linear_softmax(node: Node, *inputs: Tensor) -> Tensor:
    """QLinearSoftmax: over one axis, or by the rules before opset 13 over the last as well."""
    real, axis = Quantized(*inputs[:3]).read(), node.get("axis", -1)
    if node.get("opset", _SOFTMAX_PER_AXIS) < _SOFTMAX_PER_AXIS and axis not in {-1, 1}:
        raise node.refuse(f"over all axes from {axis} on")
    return _round(node, torch.softmax(real, axis), 3, *inputs[3:])


def _round(
    node: Node, real: Tensor, position: int, scale: Tensor, zero_point: Tensor | None = None
) -> Tensor:
    """Real numbers on an output's grid, whose scale is input `position`."""
    return round_steps(node, real / scale, position + 1, zero_point)
