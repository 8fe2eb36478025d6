"""Shapes and views."""

import math

import torch
from torch import Tensor

from nhle_onnx.lowering.node import Ints, Node, recorded, to_ints, to_ints_if_known, unpack


def concat(node: Node, *parts: Tensor) -> Tensor:
    """Concat."""
    return torch.cat(parts, node.get("axis"))


def expand(_node: Node, x: Tensor, shape: Tensor) -> Tensor:
    """Expand: input and shape broadcast together."""
    return expand_to(x, to_ints_if_known(shape))


@recorded
def expand_to(x: Tensor, shape: Ints) -> Tensor:
    """Broadcast to extents; a 1 keeps the input's extent."""
    return x.expand(torch.broadcast_shapes(x.shape, to_ints(shape)))


def flatten(node: Node, x: Tensor) -> Tensor:
    """Flatten to two axes, split before `axis`."""
    axis = node.get("axis", 1)
    return x.flatten(1) if axis == 1 else flatten_at(x, axis)


@recorded
def flatten_at(x: Tensor, axis: int) -> Tensor:
    """Flatten to two axes; the first holds all axes before `axis`."""
    return x.reshape(math.prod(x.shape[:axis]), -1)


def identity(_node: Node, x: Tensor) -> Tensor:
    """Identity."""
    return x


def reshape(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    """Reshape: a 0 keeps the input's extent unless `allowzero` is set."""
    return reshape_to(x, to_ints_if_known(shape), keeps_zeros=bool(node.get("allowzero", 0)))


@recorded
def reshape_to(x: Tensor, shape: Ints, *, keeps_zeros: bool) -> Tensor:
    """Reshape to extents that may only be known at run time."""
    extents = to_ints(shape)
    if not keeps_zeros:
        extents = [x.shape[axis] if extent == 0 else extent for axis, extent in enumerate(extents)]
    return x.reshape(extents)


def shape(node: Node, x: Tensor) -> Tensor:
    """Shape, or the part of it from `start` to `end`."""
    return shape_of(x, node.get("start", 0), node.get("end"))


@recorded
def shape_of(x: Tensor, start: int, end: int | None) -> Tensor:
    """Return the extents as a tensor on the CPU, see `lowering.shape_arithmetic`."""
    return torch.tensor(x.shape[start:end], dtype=torch.int64)


def size(_node: Node, x: Tensor) -> Tensor:
    """Size: the number of elements."""
    return count_elements(x)


@recorded
def count_elements(x: Tensor) -> Tensor:
    """Return the number of elements as a tensor on the CPU, as `shape_of` does."""
    return torch.tensor(x.numel(), dtype=torch.int64)


def split(node: Node, x: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
    """Split: sizes are an attribute up to opset 12, an input after it; without them evenly."""
    axis = node.get("axis", 0)
    listed = node.get("split") if sizes is None else to_ints_if_known(sizes)
    if listed is None:
        return unpack(split_evenly(x, node.num_outputs, axis), node.num_outputs)
    return unpack(split_at(x, listed, axis), node.num_outputs)


@recorded
def split_at(x: Tensor, sizes: Ints, axis: int) -> tuple[Tensor, ...]:
    """Split into parts of the given extents."""
    parts: tuple[Tensor, ...] = x.split(to_ints(sizes), axis)
    return parts


@recorded
def split_evenly(x: Tensor, count: int, axis: int) -> tuple[Tensor, ...]:
    """Split into parts of equal extent; the last may be smaller."""
    parts: tuple[Tensor, ...] = x.split(-(-x.shape[axis] // count), axis)
    return parts


def squeeze(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """Squeeze: axes are an attribute up to opset 12, then an input; by default all of extent 1."""
    listed = node.get("axes") if axes is None else to_ints(axes)
    return x.squeeze() if listed is None else x.squeeze(tuple(listed))


def tile(_node: Node, x: Tensor, repeats: Tensor) -> Tensor:
    """Tile: each axis is repeated."""
    return repeat(x, to_ints_if_known(repeats))


@recorded
def repeat(x: Tensor, times: Ints) -> Tensor:
    """Repeat along each axis."""
    return x.repeat(to_ints(times))


def transpose(node: Node, x: Tensor) -> Tensor:
    """Transpose: by default all axes are reversed."""
    order = node.get("perm")
    return x.permute(tuple(order)) if order else reverse_axes(x)


@recorded
def reverse_axes(x: Tensor) -> Tensor:
    """Reverse the order of all axes."""
    return x.permute(tuple(reversed(range(x.ndim))))


def unsqueeze(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """Unsqueeze: axes count in the result; an attribute up to opset 12, an input after it."""
    return insert_axes(x, tuple(node.get("axes") if axes is None else to_ints(axes)))


@recorded
def insert_axes(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Insert axes of extent 1, at positions in the result."""
    rank = x.ndim + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x
