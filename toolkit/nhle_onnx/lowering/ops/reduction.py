"""Reductions over axes: an attribute up to opset 17 (ReduceSum: 12), an input after it."""

from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor

from nhle_onnx.lowering.node import Ints, Node, recorded, to_ints, to_ints_if_known

Dims = tuple[int, ...]


def reduction(
    function: Callable[[Tensor, Dims, bool], Tensor],
) -> Callable[[Tensor, Ints, bool, bool], Tensor]:
    """Make a reduction one step of the lowered module. If no axes are listed, it reduces all axes
    or, with `noop`, no axis.
    """

    @recorded
    @wraps(function)
    def reduce(x: Tensor, axes: Ints, keeps: bool, noop: bool) -> Tensor:  # noqa: FBT001 - as torch's
        dims = tuple(to_ints(axes))
        dims = dims if dims or noop else tuple(range(x.ndim))
        if not dims:  # reduce each element alone, along a new axis
            return function(x.unsqueeze(-1), (-1,), False)  # noqa: FBT003 - as torch's
        return function(x, dims, keeps)

    return reduce


@reduction
def sum_over(x: Tensor, dims: Dims, keeps: bool) -> Tensor:  # noqa: FBT001 - as torch's
    """Sum in the input's type; torch would widen small integers."""
    return torch.sum(x, dims, keeps, dtype=x.dtype)


@reduction
def mean_over(x: Tensor, dims: Dims, keeps: bool) -> Tensor:  # noqa: FBT001 - as torch's
    """Return the mean."""
    return torch.mean(x, dims, keeps)


@reduction
def prod_over(x: Tensor, dims: Dims, keeps: bool) -> Tensor:  # noqa: FBT001 - as torch's
    """Multiply along one axis after another, from the last."""
    for dim in sorted((dim % x.ndim for dim in dims), reverse=True):
        x = torch.prod(x, dim, keeps, dtype=x.dtype)
    return x


@reduction
def norm_over(x: Tensor, dims: Dims, keeps: bool) -> Tensor:  # noqa: FBT001 - as torch's
    """Return the Euclidean norm."""
    norm: Tensor = torch.linalg.vector_norm(x, 2, dims, keeps)
    return norm


@reduction
def log_sum_exp_over(x: Tensor, dims: Dims, keeps: bool) -> Tensor:  # noqa: FBT001 - as torch's
    """Return the logarithm of the sum of exponentials."""
    return torch.logsumexp(x, dims, keeps)


@reduction
def max_over(x: Tensor, dims: Dims, keeps: bool) -> Tensor:  # noqa: FBT001 - as torch's
    """Return the largest value; of no values, the lowest of the type."""
    return torch.amax(_fill_empty(x, dims, -torch.inf), dims, keeps)


@reduction
def min_over(x: Tensor, dims: Dims, keeps: bool) -> Tensor:  # noqa: FBT001 - as torch's
    """Return the smallest value; of no values, the largest of the type."""
    return torch.amin(_fill_empty(x, dims, torch.inf), dims, keeps)


def _fill_empty(x: Tensor, dims: Dims, neutral: float) -> Tensor:
    """Add one neutral slice along each empty axis to be reduced."""
    reduced = {dim % x.ndim for dim in dims}
    extents = [1 if dim in reduced and not size else size for dim, size in enumerate(x.shape)]
    if list(x.shape) == extents:
        return x
    if x.is_floating_point():
        return x.new_full(extents, neutral)
    if x.dtype == torch.bool:
        return x.new_full(extents, neutral > 0)
    limits = torch.iinfo(x.dtype)
    return x.new_full(extents, limits.min if neutral < 0 else limits.max)


def reduce_mean(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """ReduceMean."""
    return _reduce(node, x, axes, mean_over)


def reduce_sum(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """ReduceSum, in the input's type."""
    return _reduce(node, x, axes, sum_over)


def reduce_max(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """ReduceMax."""
    return _reduce(node, x, axes, max_over)


def reduce_min(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """ReduceMin."""
    return _reduce(node, x, axes, min_over)


def reduce_prod(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """ReduceProd, in the input's type."""
    return _reduce(node, x, axes, prod_over)


def reduce_l1(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """ReduceL1."""
    return _reduce(node, torch.abs(x), axes, sum_over)


def reduce_l2(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """ReduceL2."""
    return _reduce(node, x, axes, norm_over)


def reduce_log_sum(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """ReduceLogSum."""
    return torch.log(_reduce(node, x, axes, sum_over))


def reduce_log_sum_exp(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """ReduceLogSumExp."""
    return _reduce(node, x, axes, log_sum_exp_over)


def reduce_sum_square(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """ReduceSumSquare."""
    return _reduce(node, x * x, axes, sum_over)


def _reduce(
    node: Node,
    x: Tensor,
    axes: Tensor | None,
    function: Callable[[Tensor, Ints, bool, bool], Tensor],
) -> Tensor:
    listed = tuple(node.get("axes") or ()) if axes is None else to_ints_if_known(axes)
    keeps, noop = bool(node.get("keepdims", 1)), bool(node.get("noop_with_empty_axes", 0))
    return function(x, listed, keeps, noop)
