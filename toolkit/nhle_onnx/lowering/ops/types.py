"""Conversions between types."""

import torch
from onnx import TensorProto
from torch import Tensor

from nhle_onnx.lowering.node import Node

DTYPES = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.BFLOAT16: torch.bfloat16,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.INT8: torch.int8,
    TensorProto.INT16: torch.int16,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
    TensorProto.UINT8: torch.uint8,
    TensorProto.UINT16: torch.uint16,
    TensorProto.UINT32: torch.uint32,
    TensorProto.UINT64: torch.uint64,
    TensorProto.BOOL: torch.bool,
}


def read_dtype(node: Node, attribute: str, default: int) -> torch.dtype:
    """Return the torch type that an attribute names."""
    target = node.get(attribute, default)
    if target not in DTYPES:
        raise node.refuse(f"to {TensorProto.DataType.Name(target)}")
    return DTYPES[target]


def cast(node: Node, x: Tensor) -> Tensor:
    """Cast to a numeric type."""
    return x.to(read_dtype(node, "to", TensorProto.UNDEFINED))


def cast_like(_node: Node, x: Tensor, like: Tensor) -> Tensor:
    """CastLike: to the type of the second input."""
    return x.to(like.dtype)
