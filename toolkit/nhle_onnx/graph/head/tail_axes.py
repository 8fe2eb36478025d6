"""Operators behind a head that move its classes to another axis, or choose among them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.constants import read_constant, read_integers
from nhle_onnx.graph.head.names import name_node
from nhle_onnx.graph.head.shapes import Shape
from nhle_onnx.graph.head.sums import take
from nhle_onnx.graph.head.trail import Indices, Trail


def transpose(node: gs.Node, trail: Trail) -> Trail | str:
    """Follow the classes to their new axis."""
    order = list(node.attrs.get("perm") or reversed(range(len(trail.shape or ()))))
    front = None if trail.axis is None else trail.axis + len(order)
    return replace(trail, axis=order.index(front) - len(order) if front in order else None)


def flatten(_node: gs.Node, trail: Trail) -> Trail:
    """Put the classes last."""
    return replace(trail, axis=-1)


def reshape(node: gs.Node, trail: Trail) -> Trail | str:
    """Find the axis of the classes in the new shape; they must stay on one axis."""
    target = read_integers(node, "shape", 1)
    if target is None:
        return replace(trail, axis=_find_declared(node, trail))
    count = len(target)
    places = [place for place in range(count) if target[place] == trail.num_classes]
    behind = [place for place in places if place] or places
    if len(behind) == 1:
        return replace(trail, axis=behind[0] - count)
    front = None if trail.axis is None or trail.shape is None else trail.axis + len(trail.shape)
    if front is not None and front < count and target[front] == 0:
        return replace(trail, axis=front - count)
    open_places = [place for place in range(count) if target[place] == -1]
    if open_places and (open_places[0] or count == 1):
        return replace(trail, axis=open_places[0] - count)
    if len(positions := [extent for extent in target[1:] if extent != 1]) > 1:
        return describe_positions(positions)
    return replace(trail, axis=_find_declared(node, trail))


def describe_positions(extents: Sequence[int]) -> str:
    """Say that there are scores along several axes, as the end of a sentence."""
    return (
        f"leads to {' x '.join(str(extent or '?') for extent in extents)} scores for each image, "
        "such as those of a character at each position in text recognition, and not one score for "
        "each class"
    )


def _find_declared(node: gs.Node, trail: Trail) -> int | None:
    """Find the only axis whose declared extent is the number of classes."""
    shape = trail.shapes.find(node.outputs[0]) or ()
    places = [place for place, extent in enumerate(shape) if place and extent == trail.num_classes]
    return places[0] - len(shape) if len(places) == 1 else None


def squeeze(node: gs.Node, trail: Trail) -> Trail | str:
    """Count the axis of the classes without the removed axes of length 1."""
    axes = read_integers(node, "axes", 1, absent=())
    if trail.axis is None:
        return trail
    if axes == ():
        return replace(trail, axis=-1 - _count_long(trail.shape, trail.axis))
    places = [trail.count_from_end(axis) for axis in axes or ()]
    if axes is None or None in places or trail.axis in places:
        return replace(trail, axis=None)
    return replace(
        trail, axis=trail.axis + sum(place is not None and place > trail.axis for place in places)
    )


def _count_long(shape: Shape | None, axis: int) -> int:
    """Count the axes behind `axis` that are known to be longer than 1."""
    return sum(isinstance(extent, int) and extent > 1 for extent in (shape or ())[axis:][1:])


def unsqueeze(node: gs.Node, trail: Trail) -> Trail | str:
    """Count the axis of the classes with the new axes."""
    axes = read_integers(node, "axes", 1)
    if trail.axis is None and trail.num_classes == 1 and axes is not None and len(axes) == 1:
        new_axis = axes[0] if axes[0] < 0 or trail.shape is None else axes[0] - len(trail.shape) - 1
        return replace(trail, axis=new_axis if new_axis < 0 else None)
    if axes is None or trail.axis is None:
        return replace(trail, axis=None)
    if all(axis < 0 for axis in axes):
        new = sorted(axes, reverse=True)
    elif trail.shape is None:
        return replace(trail, axis=None)
    else:
        count = len(trail.shape) + len(axes)
        new = sorted((axis if axis < 0 else axis - count for axis in axes), reverse=True)
    axis = trail.axis
    for place in new:
        axis -= place >= axis
    return replace(trail, axis=axis)


def slice_classes(node: gs.Node, trail: Trail) -> Trail | str:
    """Keep a range of classes."""
    starts, ends = read_integers(node, "starts", 1), read_integers(node, "ends", 2)
    count = len(starts or ())
    axes = read_integers(node, "axes", 3, absent=tuple(range(count)))
    steps = read_integers(node, "steps", 4, absent=(1,) * count)
    if starts is None or ends is None or axes is None or steps is None:
        return f"is followed by {name_node(node)}, whose range is not constant"
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if trail.counts_classes_along(axis):
            last = None if step < 0 and end < -trail.num_classes else end
            trail = take(trail, np.arange(trail.num_classes)[start:last:step])
        elif (start, step) != (0, 1) or end < np.iinfo(np.int32).max:
            return f"is followed by {name_node(node)} along another axis than the classes'"
    return trail


def gather(node: gs.Node, trail: Trail) -> Trail | str:
    """Choose classes by constant indices."""
    chosen = read_constant(node.inputs[1])
    if chosen is None or chosen.ndim > 1:
        return f"is followed by {name_node(node)}, which does not take constant classes"
    if not trail.counts_classes_along(int(node.attrs.get("axis", 0))):
        return f"is followed by {name_node(node)} along another axis than the classes'"
    indices: Indices = chosen.astype(np.int64)
    if ((indices < -trail.num_classes) | (indices >= trail.num_classes)).any():
        return f"is followed by {name_node(node)}, which takes classes that are not there"
    taken = take(trail, np.atleast_1d(indices) % trail.num_classes)
    return taken if indices.ndim else replace(taken, axis=None)


def gather_nd(node: gs.Node, trail: Trail) -> Trail | str:
    """Choose along the first axis, as exporters choose classes of a transposed tensor."""
    chosen = read_constant(node.inputs[1])
    is_list = chosen is not None and chosen.ndim == 2 and chosen.shape[1] == 1  # noqa: PLR2004
    if not is_list or node.attrs.get("batch_dims", 0) or not trail.counts_classes_along(0):
        return f"is followed by {name_node(node)}, which does not take constant classes"
    return take(trail, np.asarray(chosen, np.int64).ravel() % trail.num_classes)
