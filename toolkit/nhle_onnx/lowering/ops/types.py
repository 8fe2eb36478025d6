"""Conversions between types."""

import torch
from onnx import TensorProto
from torch import Tensor

from nhle_onnx.graph.element_types import get_element_type
from nhle_onnx.lowering.node import Node


def read_dtype(node: Node, attribute: str, default: int) -> torch.dtype:
    """Return the torch type that an attribute names."""
    target = node.get(attribute, default)
    kind = get_element_type(target)
    found: torch.dtype | None = getattr(torch, kind.torch) if kind.torch else None
    if found is None or 8 * found.itemsize != kind.bits:  # a wider type does not round as it would
        raise node.refuse(f"to {TensorProto.DataType.Name(target)}")
    return found


def cast(node: Node, x: Tensor) -> Tensor:
    """Cast to a numeric type."""
    return x.to(read_dtype(node, "to", TensorProto.UNDEFINED))


def cast_like(_node: Node, x: Tensor, like: Tensor) -> Tensor:
    """CastLike: to the type of the second input."""
    return x.to(like.dtype)
