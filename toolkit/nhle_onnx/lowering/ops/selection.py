"""Parts of tensors: slices, gathered and scattered elements."""

import builtins

import torch
from torch import Tensor, fx

from nhle_onnx.lowering.node import Ints, Node, recorded, to_ints, to_ints_if_known

_REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def gather(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    """Gather whole slices along one axis; negative indices count from its end."""
    axis = node.get("axis", 0)
    if not isinstance(indices, fx.Proxy) and indices.ndim == 0:
        return x.select(axis, int(indices))
    return gather_slices(x, axis, indices)


@recorded
def gather_slices(x: Tensor, axis: int, indices: Tensor) -> Tensor:
    """Gather slices of one axis, which becomes the axes of `indices`."""
    axis %= x.ndim
    chosen = x.index_select(axis, _wrap(indices, x.shape[axis]).reshape(-1))
    return chosen.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def gather_elements(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    """GatherElements along one axis; negative indices count from its end."""
    return take_elements(x, node.get("axis", 0), indices)


@recorded
def take_elements(x: Tensor, axis: int, indices: Tensor) -> Tensor:
    """Take one element for each index."""
    return x.gather(axis, _wrap(indices, x.shape[axis]))


def gather_nd(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    """GatherND: the last axis of `indices` holds subscripts, behind the batch axes."""
    return take_subscripts(x, indices, node.get("batch_dims", 0))


@recorded
def take_subscripts(x: Tensor, indices: Tensor, batch_axes: int) -> Tensor:
    """Take a slice for each row of subscripts; each batch has its own rows."""
    rank = indices.ndim - 1
    batch = [
        torch.arange(x.shape[axis], device=x.device).reshape(-1, *[1] * (rank - axis - 1))
        for axis in range(batch_axes)
    ]
    return x[(*batch, *indices.unbind(-1))]


def scatter_elements(node: Node, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """ScatterElements along one axis, replacing values or combining them by `reduction`."""
    return put_elements(x, node.get("axis", 0), indices, updates, node.get("reduction", "none"))


@recorded
def put_elements(x: Tensor, axis: int, indices: Tensor, updates: Tensor, reduction: str) -> Tensor:
    """Put one update at each index."""
    places = _wrap(indices, x.shape[axis])
    if reduction == "none":
        return x.scatter(axis, places, updates)
    return x.scatter_reduce(axis, places, updates, _REDUCTIONS[reduction])


def scatter_nd(node: Node, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """ScatterND: slices at subscripts, replaced or combined by `reduction`."""
    return put_slices(x, indices, updates, node.get("reduction", "none"))


@recorded
def put_slices(x: Tensor, indices: Tensor, updates: Tensor, reduction: str) -> Tensor:
    """Put one update at each row of subscripts, as elements of the flattened leading axes."""
    depth = indices.shape[-1]
    place = torch.zeros_like(indices[..., 0])
    for extent, subscript in zip(x.shape[:depth], indices.unbind(-1), strict=True):
        place = place * extent + _wrap(subscript, extent)
    flat = x.reshape(x.shape[:depth].numel(), -1)
    rows = updates.reshape(-1, flat.shape[1])
    places = place.reshape(-1, 1).expand_as(rows)
    return put_elements(flat, 0, places, rows, reduction).reshape(x.shape)


def slice(node: Node, x: Tensor, *inputs: Tensor | None) -> Tensor:  # noqa: A001 - the operator's
    """Slice: attributes up to opset 9, inputs after it."""
    given = {name: node.get(name) for name in ("starts", "ends", "axes", "steps")}
    for name, value in zip(given, inputs, strict=False):
        given[name] = None if value is None else to_ints_if_known(value)
    return slice_axes(x, *given.values())


@recorded
def slice_axes(
    x: Tensor, starts: Ints, ends: Ints, axes: Ints | None, steps: Ints | None
) -> Tensor:
    """Slice each axis from start to end in steps, clamped as in Python."""
    begins, stops = to_ints(starts), to_ints(ends)
    dims = builtins.range(len(begins)) if axes is None else to_ints(axes)
    strides = [1] * len(begins) if steps is None else to_ints(steps)
    for dim, begin, stop, stride in zip(dims, begins, stops, strides, strict=True):
        x = slice_axis(x, dim % x.ndim, begin, stop, stride)
    return x


def slice_axis(x: Tensor, axis: int, start: int, end: int, step: int) -> Tensor:
    """Slice one axis; torch only steps forward, so the axis is flipped for backward steps."""
    if step < 0:
        x = x.flip(axis)
        start, end, step = -1 - start, -1 - end, -step
    extent = x.shape[axis]
    # exporters write the lowest and highest int64 for "from the start", "to the end"
    first, last, _ = builtins.slice(start, end).indices(extent)
    steps = builtins.slice(first, last, min(step, extent) or 1)
    return x[(builtins.slice(None),) * axis + (steps,)]


def compress(node: Node, x: Tensor, condition: Tensor) -> Tensor:
    """Compress: the slices of an axis, or the elements, where the condition holds."""
    return keep_where(x, condition, node.get("axis"))


@recorded
def keep_where(x: Tensor, condition: Tensor, axis: int | None) -> Tensor:
    """Keep slices where the condition holds; it may be shorter than the axis."""
    kept = condition.nonzero().reshape(-1)
    return x.reshape(-1).index_select(0, kept) if axis is None else x.index_select(axis, kept)


def _wrap(indices: Tensor, extent: int) -> Tensor:
    """Make negative indices, which count from the end, positive."""
    return torch.where(indices < 0, indices + extent, indices).long()
