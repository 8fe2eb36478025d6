"""Quantized operators without weights (com.microsoft), computed in floats."""

import torch
from torch import Tensor
from torch.nn import functional

from nhle_onnx.lowering.node import Node
from nhle_onnx.lowering.ops.quantized import Quantized, round_numbers, round_steps
from nhle_onnx.lowering.ops.softmax import softmax, softmax_flattened

_OPERAND = 3  # numbers, their scale and their zero point
_SOFTMAX_PER_AXIS = 13  # the opset whose rules its attribute `opset` names


def q_linear_add(node: Node, *inputs: Tensor) -> Tensor:
    """QLinearAdd."""
    a, b = Quantized(*inputs[:3]), Quantized(*inputs[3:6])
    y_scale, y_zero = _read_output(*inputs[6:])
    steps = a.centre() * (a.scale / y_scale) + b.centre() * (b.scale / y_scale)
    return round_numbers(node, steps, 7, y_zero)


def q_linear_mul(node: Node, *inputs: Tensor) -> Tensor:
    """QLinearMul."""
    a, b = Quantized(*inputs[:3]), Quantized(*inputs[3:6])
    y_scale, y_zero = _read_output(*inputs[6:])
    steps = a.centre() * b.centre() * (a.scale * b.scale / y_scale)
    return round_numbers(node, steps, 7, y_zero)


def q_linear_concat(node: Node, scale: Tensor, zero_point: Tensor, *operands: Tensor) -> Tensor:
    """QLinearConcat: each operand has its own scale."""
    starts = range(0, len(operands), _OPERAND)
    parts = [Quantized(*operands[start : start + _OPERAND]).read() for start in starts]
    return _round(node, torch.cat(parts, node.get("axis")), 0, scale, zero_point)


def q_linear_sigmoid(node: Node, *inputs: Tensor) -> Tensor:
    """QLinearSigmoid."""
    return _round(node, torch.sigmoid(Quantized(*inputs[:3]).read()), 3, *inputs[3:])


def q_linear_leaky_relu(node: Node, *inputs: Tensor) -> Tensor:
    """QLinearLeakyRelu."""
    real = functional.leaky_relu(Quantized(*inputs[:3]).read(), node.get("alpha", 0.01))
    return _round(node, real, 3, *inputs[3:])


def q_linear_softmax(node: Node, *inputs: Tensor) -> Tensor:
    """QLinearSoftmax: over one axis or, before opset 13, over all from one on."""
    node = node.with_attributes(axis=node.get("axis", -1))
    compute = softmax if node.get("opset") >= _SOFTMAX_PER_AXIS else softmax_flattened
    y_scale, y_zero = _read_output(*inputs[3:])
    parts = compute(node, Quantized(*inputs[:3]).read()) * (1 / y_scale).floor()
    return round_steps(node, parts, 4, y_zero)


def _read_output(scale: Tensor, zero_point: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    return scale, zero_point


def _round(
    node: Node, real: Tensor, position: int, scale: Tensor, zero_point: Tensor | None = None
) -> Tensor:
    """Round real numbers as an output; its scale is input `position`."""
    return round_steps(node, real / scale, position + 1, zero_point)
