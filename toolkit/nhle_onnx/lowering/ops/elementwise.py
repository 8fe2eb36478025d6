"""Arithmetic, one element at a time."""

import torch
from onnx import TensorProto
from torch import Tensor

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.lowering.node import Node

_DTYPES = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.BFLOAT16: torch.bfloat16,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.INT8: torch.int8,
    TensorProto.INT16: torch.int16,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
    TensorProto.UINT8: torch.uint8,
    TensorProto.BOOL: torch.bool,
}


def add(_node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Add."""
    return a + b


def sub(_node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Sub."""
    return a - b


def mul(_node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Mul."""
    return a * b


def div(_node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Div: integers truncate toward zero, as ONNX Runtime does."""
    if isinstance(b, torch.Tensor) and not b.is_floating_point():
        return torch.div(a, b, rounding_mode="trunc")
    return a / b


def pow(_node: Node, a: Tensor, b: Tensor) -> Tensor:  # noqa: A001 - the operator's name
    """Pow, in the type of the base."""
    return torch.pow(a, b).to(a.dtype)


def sqrt(_node: Node, x: Tensor) -> Tensor:
    """Sqrt."""
    return torch.sqrt(x)


def erf(_node: Node, x: Tensor) -> Tensor:
    """Erf."""
    return torch.erf(x)


def cast(node: Node, x: Tensor) -> Tensor:
    """Cast to a numeric type."""
    target = node.get("to")
    if target not in _DTYPES:
        message = f"{node.name}: Cast to {TensorProto.DataType.Name(target)} is not supported"
        raise UnsupportedModelError(message)
    return x.to(_DTYPES[target])
