"""Sequences of tensors: exporters split a tensor into one where its extent is unknown."""

from collections.abc import Sequence

from torch import Tensor

from nhle_onnx.lowering.node import Ints, Node, recorded, to_ints, to_ints_if_known


def split_to_sequence(node: Node, x: Tensor, sizes: Tensor | None = None) -> Sequence[Tensor]:
    """SplitToSequence: one size for all parts, or a size for each; by default, parts of size 1."""
    axis, keeps = node.get("axis", 0), node.get("keepdims", 1)
    if sizes is None:
        return cut(x, [1], axis, is_alike=True) if keeps else take_apart(x, axis)
    return cut(x, to_ints_if_known(sizes), axis, is_alike=sizes.ndim == 0)


def sequence_at(_node: Node, parts: Sequence[Tensor], place: Tensor) -> Tensor:
    """SequenceAt: a part; negative places count from the end."""
    return choose(parts, to_ints_if_known(place))


@recorded
def cut(x: Tensor, sizes: Ints, axis: int, *, is_alike: bool) -> Sequence[Tensor]:
    """Cut an axis into parts of one size (the last may be smaller), or of the given sizes."""
    extents = to_ints(sizes)
    return list(x.split(extents[0] if is_alike else extents, axis))


@recorded
def take_apart(x: Tensor, axis: int) -> Sequence[Tensor]:
    """Return the slices along an axis, without this axis."""
    return list(x.unbind(axis))


@recorded
def choose(parts: Sequence[Tensor], place: Ints) -> Tensor:
    """Choose a part."""
    return parts[to_ints(place)[0]]
