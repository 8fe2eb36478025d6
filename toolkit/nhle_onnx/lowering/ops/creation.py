"""Tensors made from attributes, shapes or indices."""

import math

import torch
from onnx import numpy_helper
from torch import Tensor

from nhle_onnx.lowering.node import Ints, Node, recorded, to_ints, to_ints_if_known
from nhle_onnx.lowering.ops.types import read_dtype


def constant(node: Node) -> Tensor:
    """Constant with numbers in an attribute; tensors are read as weights are."""
    value = node.attributes
    for name, dtype in (("value_float", torch.float32), ("value_int", torch.int64)):
        for key in (name, f"{name}s"):
            if key in value:
                return torch.tensor(value[key], dtype=dtype)
    raise node.refuse("that holds no numbers")


def constant_of_shape(node: Node, shape: Tensor) -> Tensor:
    """ConstantOfShape: float zeros unless `value` says otherwise."""
    value = node.get("value")
    filler = torch.zeros(1) if value is None else torch.tensor(numpy_helper.to_array(value))
    return fill_shape(to_ints_if_known(shape), filler.item(), filler.dtype)


@recorded
def fill_shape(shape: Ints, value: float, dtype: torch.dtype) -> Tensor:
    """Fill a shape with one value."""
    device = shape.device if isinstance(shape, Tensor) else None
    return torch.full(to_ints(shape), value, dtype=dtype, device=device)


def eye_like(node: Node, x: Tensor) -> Tensor:
    """EyeLike: ones on the k-th diagonal, in the input's type unless `dtype` is set."""
    dtype = read_dtype(node, "dtype", 0) if node.get("dtype") else None
    return make_diagonal(x, node.get("k", 0), dtype)


@recorded
def make_diagonal(x: Tensor, offset: int, dtype: torch.dtype | None) -> Tensor:
    """Make a matrix of the input's shape with ones on one diagonal."""
    rows = torch.arange(x.shape[0], device=x.device).unsqueeze(1)
    columns = torch.arange(x.shape[1], device=x.device)
    return (columns - rows == offset).to(dtype or x.dtype)


def one_hot(node: Node, indices: Tensor, depth: Tensor, values: Tensor) -> Tensor:
    """OneHot: `values` holds off and on; negative indices count from the end."""
    return mark_indices(indices, to_ints_if_known(depth), values, node.get("axis", -1))


@recorded
def mark_indices(indices: Tensor, depth: Ints, values: Tensor, axis: int) -> Tensor:
    """Add an axis that is "on" at the index given by the input."""
    (extent,) = to_ints(depth)
    axis %= indices.ndim + 1
    wrapped = torch.where(indices < 0, indices + extent, indices).unsqueeze(axis)
    places = torch.arange(extent, device=indices.device)
    places = places.reshape(-1, *[1] * (indices.ndim - axis))
    return torch.where(wrapped == places, values[1], values[0])


def range(_node: Node, start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:  # noqa: A001
    """Range: from start up to, but excluding, limit, in the inputs' type."""
    return count_up(start, limit, delta)


@recorded
def count_up(start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    """Return evenly spaced numbers; none if limit lies before start."""
    steps = max(math.ceil((limit.item() - start.item()) / delta.item()), 0)
    return start + torch.arange(steps, dtype=start.dtype, device=start.device) * delta


def trilu(node: Node, x: Tensor, k: Tensor | None = None) -> Tensor:
    """Trilu: the upper or lower triangle of each matrix, from the k-th diagonal on."""
    diagonal = 0 if k is None else to_ints(k)[0]
    return torch.triu(x, diagonal) if node.get("upper", 1) else torch.tril(x, diagonal)
