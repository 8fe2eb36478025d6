"""Attention in parts: MatMul, a scale, a mask, Softmax, MatMul."""

import math
import operator
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import torch
from torch import Tensor, fx

from nhle_onnx.lowering.fusing.steps import Fused, Steps, in_both_orders
from nhle_onnx.lowering.ops.attention import attend_by_heads
from nhle_onnx.lowering.ops.elementwise import divide
from nhle_onnx.lowering.ops.softmax import soften_flattened

# The steps applied to scores, in order, each with its operand.
Changes = tuple[tuple[str, Any], ...]

_CHANGES: Mapping[str, Callable[..., Tensor]] = {
    "mul": operator.mul,
    "div": divide,
    "add": operator.add,
    "softmax": torch.softmax,
    "flattened softmax": soften_flattened,
    "to": Tensor.to,
}
_SCALES = frozenset({"mul", "div"})
_COMMUTATIVE = frozenset({"mul", "add"})
_ORDER = {"mul": 0, "div": 0, "add": 1, "softmax": 2, "flattened softmax": 2}
_RANKS = (3, 4)


def fuse_attention(node: fx.Node, steps: Steps) -> Fused | None:
    """Fuse softmax(q · k, scaled, then masked) · v where nothing else reads what lies between."""
    weights, values = steps.read(node, "matmul") or (None, None)
    found = _read_scores(weights, steps)
    if found is None:
        return None
    queries, keys, changes = found
    order = [_ORDER[name] for name, _ in changes if name in _ORDER]
    is_plain = order == sorted(order) and order.count(_ORDER["softmax"]) == 1
    return Fused(mix_values, (queries, keys, values, changes)) if is_plain else None


def _read_scores(value: object, steps: Steps) -> tuple[Any, Any, Changes] | None:
    """Return queries, keys and the steps from their product to `value`; None for other values."""
    if product := steps.read_inner(value, "matmul"):
        queries, keys = product
        return queries, keys, ()
    name = steps.name(value)
    operands = steps.read_inner(value, name) if name in _CHANGES else ()
    orders = in_both_orders(operands)
    for first, by in orders if name in _COMMUTATIVE else orders[:1]:
        if found := _read_scores(first, steps):
            queries, keys, changes = found
            number = steps.find_number(by) if name in _SCALES else None
            return queries, keys, (*changes, (name, by if number is None else number))
    return None


def mix_values(queries: Tensor, keys: Tensor, values: Tensor, changes: Changes) -> Tensor:
    """Mix values [..., S, D] by queries [..., T, D] and keys [..., D, S]: in one step where their
    shapes allow it, and as written where not.
    """
    if not _fits(queries, keys, values, changes):
        weights = reduce(
            lambda x, change: _CHANGES[change[0]](x, change[1]), changes, queries @ keys
        )
        return weights @ values
    masks = [by for name, by in changes if name == "add"]
    factors = [1 / by if name == "div" else by for name, by in changes if name in _SCALES]
    scale = math.prod((each for each in factors if isinstance(each, float)), start=1.0)
    for factor in factors:
        queries = queries * factor if isinstance(factor, Tensor) else queries
    mask = reduce(operator.add, masks) if masks else None
    return attend_by_heads(queries, keys.transpose(-1, -2), values, mask, scale)


def _fits(queries: Tensor, keys: Tensor, values: Tensor, changes: Changes) -> bool:
    """Whether each head has its own queries, keys and values, all of one type; and whether scales
    are by head, the mask is no larger than the scores, and Softmax is over the last axis.
    """
    leading = {each.shape[:-2] for each in (queries, keys, values)}
    types = {each.dtype for each in (queries, keys, values)}
    scores = torch.Size((*queries.shape[:-1], keys.shape[-1]))
    return (
        len(leading) == len(types) == 1
        and queries.ndim in _RANKS
        and queries.is_floating_point()
        and all(_allows(name, by, queries, scores) for name, by in changes)
    )


def _allows(name: str, by: Any, queries: Tensor, scores: torch.Size) -> bool:  # noqa: ANN401
    """Whether one change leaves attention in one step possible."""
    match name:
        case "to":
            return by is queries.dtype
        case "softmax" | "flattened softmax":
            return by in (-1, len(scores) - 1)
        case "add":
            is_mask = isinstance(by, Tensor) and by.dtype == queries.dtype
            return is_mask and _spreads(by, scores)
        case _ if isinstance(by, float):
            return by != 0.0
        case _:
            return set(by.shape[-2:]) <= {1} and _spreads(by, queries.shape)


def _spreads(tensor: Tensor, shape: torch.Size) -> bool:
    """Whether a tensor broadcasts to a shape without enlarging it."""
    return bool(torch.broadcast_shapes(tensor.shape, shape) == shape)
