"""Shapes, views and selections."""

import builtins
import math

import torch
from onnx import numpy_helper
from torch import Tensor, fx
from torch.nn import functional

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.lowering.node import (
    Node,
    recorded,
    to_constant,
    to_floats,
    to_ints,
)


def concat(node: Node, *parts: Tensor) -> Tensor:
    """Concat."""
    return torch.cat(parts, node.get("axis"))


def constant(node: Node) -> Tensor:
    """Constant, in any of its forms that hold numbers."""
    value = node.attributes
    if "value" in value:
        return torch.from_numpy(numpy_helper.to_array(value["value"]).copy())
    for name, dtype in (("value_float", torch.float32), ("value_int", torch.int64)):
        for key in (name, f"{name}s"):
            if key in value:
                return torch.tensor(value[key], dtype=dtype)
    message = f"{node.name}: a Constant that holds no numbers is not supported"
    raise UnsupportedModelError(message)


def flatten(node: Node, x: Tensor) -> Tensor:
    """Flatten to two axes, split before `axis`."""
    axis = node.get("axis", 1)
    return x.flatten(1) if axis == 1 else flatten_at(x, axis)


@recorded
def flatten_at(x: Tensor, axis: int) -> Tensor:
    """Two axes, of which the first holds all before `axis`."""
    return x.reshape(math.prod(x.shape[:axis]), -1)


def gather(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    """Gather whole slices along one axis; negative indices count from its end."""
    axis = node.get("axis", 0)
    where = to_constant(indices)
    if where.ndim == 0:
        return x.select(axis, int(where))
    return gather_slices(x, axis, where)


@recorded
def gather_slices(x: Tensor, axis: int, indices: Tensor) -> Tensor:
    """Slices of one axis, which becomes the axes of `indices`."""
    extent = x.shape[axis]
    wrapped = torch.where(indices < 0, indices + extent, indices).reshape(-1)
    chosen: Tensor = x.index_select(axis, wrapped).unflatten(axis, tuple(indices.shape))
    return chosen


def identity(node: Node, x: Tensor) -> Tensor:
    """Identity."""
    del node
    return x


def pad(node: Node, x: Tensor, pads: Tensor | None = None, value: Tensor | None = None) -> Tensor:
    """Pad all axes: by attributes up to opset 10, constant inputs after it."""
    amounts = node.get("pads") if pads is None else to_ints(pads)
    rank = len(amounts) // 2
    pairs = [amounts[end] for axis in reversed(range(rank)) for end in (axis, axis + rank)]
    mode = node.get("mode", "constant")
    if mode == "constant":
        fill = node.get("value", 0.0) if value is None else to_floats(value)[0]
        return functional.pad(x, pairs, value=fill)
    if mode not in {"reflect", "edge"}:
        message = f"{node.name}: Pad in mode {mode} is not supported"
        raise UnsupportedModelError(message)
    inner = 2 * (rank - 2)  # torch pads only the spatial axes in these modes
    return functional.pad(x, pairs[:inner], mode="replicate" if mode == "edge" else mode)


def reshape(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    """Reshape: a 0 keeps the input's extent unless `allowzero` is set."""
    if isinstance(shape, fx.Proxy):
        return reshape_to(x, shape)
    extents = to_ints(shape)
    if not node.get("allowzero", 0):
        extents = [x.shape[axis] if extent == 0 else extent for axis, extent in enumerate(extents)]
    return x.reshape(extents)


@recorded
def reshape_to(x: Tensor, shape: Tensor) -> Tensor:
    """Reshape to extents that are only known at run time."""
    return x.reshape(shape.tolist())


def shape(node: Node, x: Tensor) -> Tensor:
    """Shape, or the part of it from `start` to `end`."""
    return shape_of(x, node.get("start", 0), node.get("end"))


@recorded
def shape_of(x: Tensor, start: int, end: int | None) -> Tensor:
    """Extents as a tensor."""
    return torch.tensor(x.shape[start:end], dtype=torch.int64)


def slice(node: Node, x: Tensor, *inputs: Tensor | None) -> Tensor:  # noqa: A001 - the operator's
    """Slice with positive steps: by attributes up to opset 9, constant inputs after it."""
    names = ("starts", "ends", "axes", "steps")
    given = {name: node.get(name) for name in names}
    for name, value in zip(names, inputs, strict=False):
        given[name] = None if value is None else to_ints(value)
    starts, ends = given["starts"], given["ends"]
    axes = given["axes"] or range(len(starts))
    steps = given["steps"] or [1] * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if step < 1:
            message = f"{node.name}: Slice with a negative step is not supported yet"
            raise UnsupportedModelError(message)
        x = slice_axis(x, axis, start, end, step)
    return x


@recorded
def slice_axis(x: Tensor, axis: int, start: int, end: int, step: int) -> Tensor:
    """One axis from `start` to `end`, both clamped to its extent, in steps."""
    extent = x.shape[axis]
    first, last, _ = builtins.slice(start, end).indices(extent)
    return x.index_select(axis, torch.arange(first, last, step, device=x.device))


def squeeze(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """Squeeze: axes are an attribute up to opset 12, an input after it; none means all ones."""
    listed = node.get("axes") if axes is None else to_ints(axes)
    return x.squeeze() if listed is None else x.squeeze(tuple(listed))


def transpose(node: Node, x: Tensor) -> Tensor:
    """Transpose: by default all axes are reversed."""
    order = node.get("perm")
    return x.permute(tuple(order)) if order else reverse_axes(x)


@recorded
def reverse_axes(x: Tensor) -> Tensor:
    """All axes in reverse order."""
    return x.permute(tuple(reversed(range(x.ndim))))


def unsqueeze(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """Unsqueeze: axes count in the result; an attribute up to opset 12, an input after it."""
    listed = node.get("axes") if axes is None else to_ints(axes)
    for axis in sorted(listed):
        x = x.unsqueeze(axis)
    return x
