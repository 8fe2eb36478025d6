"""Extremes, order and running sums along one axis."""

from collections.abc import Callable

import torch
from torch import Tensor

from nhle_onnx.lowering.node import Ints, Node, recorded, to_ints, to_ints_if_known, unpack


def arg_max(node: Node, x: Tensor) -> Tensor:
    """ArgMax: the first of equal values, or the last with `select_last_index`."""
    return _search(find_largest, node, x)


def arg_min(node: Node, x: Tensor) -> Tensor:
    """ArgMin: the first of equal values, or the last with `select_last_index`."""
    return _search(find_smallest, node, x)


def _search(find: Callable[..., Tensor], node: Node, x: Tensor) -> Tensor:
    keeps, is_last = bool(node.get("keepdims", 1)), bool(node.get("select_last_index", 0))
    return find(x, node.get("axis", 0), keeps=keeps, is_last=is_last)


@recorded
def find_largest(x: Tensor, axis: int, *, keeps: bool, is_last: bool) -> Tensor:
    """Return the index of the largest value."""
    if not is_last:
        return torch.argmax(x, axis, keeps)
    return x.shape[axis] - 1 - torch.argmax(x.flip(axis), axis, keeps)


@recorded
def find_smallest(x: Tensor, axis: int, *, keeps: bool, is_last: bool) -> Tensor:
    """Return the index of the smallest value."""
    if not is_last:
        return torch.argmin(x, axis, keeps)
    return x.shape[axis] - 1 - torch.argmin(x.flip(axis), axis, keeps)


def top_k(node: Node, x: Tensor, k: Tensor | None = None) -> tuple[Tensor, ...]:
    """TopK: `k` is an attribute up to opset 9; equal values are ordered by index."""
    count = to_ints_if_known(k) if k is not None else (node.get("k"),)
    return unpack(
        sort_first(x, count, node.get("axis", -1), is_largest=bool(node.get("largest", 1))), 2
    )


@recorded
def sort_first(x: Tensor, count: Ints, axis: int, *, is_largest: bool) -> tuple[Tensor, Tensor]:
    """Return the first values in order, and their indices."""
    values, indices = torch.sort(x, dim=axis, descending=is_largest, stable=True)
    kept = to_ints(count)[0]
    return values.narrow(axis, 0, kept), indices.narrow(axis, 0, kept)


def cum_sum(node: Node, x: Tensor, axis: Tensor) -> Tensor:
    """CumSum, with or without the element itself, forward or `reverse`."""
    (dim,) = to_ints(axis)
    x = x.flip(dim) if node.get("reverse", 0) else x
    sums = add_up(x, dim, is_exclusive=bool(node.get("exclusive", 0)))
    return sums.flip(dim) if node.get("reverse", 0) else sums


@recorded
def add_up(x: Tensor, axis: int, *, is_exclusive: bool) -> Tensor:
    """Return the running sum, in the input's type."""
    sums = torch.cumsum(x, axis, dtype=x.dtype)
    return sums - x if is_exclusive else sums


def non_zero(_node: Node, x: Tensor) -> Tensor:
    """NonZero: one row of subscripts for each axis."""
    return torch.nonzero(x).transpose(0, 1)
