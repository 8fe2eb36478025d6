"""Between which numbers a quantized model's features and scores lie, and widening the latter."""

import math
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.quant_params import RANGES, express_reals
from nhle_onnx.graph.tensors import list_tensors, replace_tensors
from nhle_onnx.hints import hint
from nhle_onnx.values.model import ClassifierHead, QuantParams

_REMEDY = hint("Use {method=nhle}, which trains the features and is judged by them.")
_MARGIN = 2  # steps that are to lie between a masked score and the lowest of a winner


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What a grid can stand for, and its step."""

    lowest: float
    highest: float
    step: float


def read_range(proto: ModelProto, params: QuantParams) -> Range:
    """The range of a grid of one scale for all."""
    low, high = _read_limits(proto, params)
    lowest, highest = express_reals(proto, np.array([low, high], np.float64), params)
    step = (highest - lowest) / (high - low)
    return Range(lowest=float(lowest), highest=float(highest), step=float(step))


def find_score_range(proto: ModelProto, head: ClassifierHead) -> Range | None:
    """The narrowest range that the scores pass; None where they are real numbers."""
    ranges = [read_range(proto, params) for params in head.score_quant_params]
    return max(ranges, key=lambda each: each.lowest, default=None)


def widen_scores(proto: ModelProto, head: ClassifierHead, best: float) -> tuple[str, ...]:
    """Give the scores room below `best`, in place: the highest stays, the step grows.

    Returns the names of the scales and zero points that changed. Raises UnsupportedModelError
    where one of them serves another part of the graph as well, or no zero point can move.
    """
    numbers: dict[str, float] = {}
    for params in head.score_quant_params:
        now = read_range(proto, params)
        if now.lowest + now.step < best:
            continue
        scale, zero_point = params.scales[0], params.zero_point
        if zero_point is None or _serve_others(proto, head, {scale, zero_point}):
            message = f"the output's scale {scale} serves other tensors as well, or cannot move"
            raise UnsupportedModelError(message, remedy=_REMEDY)
        numbers[scale], numbers[zero_point] = _fit_below(now, _read_limits(proto, params), best)
    tensors = dict(list_tensors(proto))
    values = {name: np.full(tuple(tensors[name].dims), each) for name, each in numbers.items()}
    replace_tensors(proto, values)
    return tuple(values)


def _fit_below(now: Range, limits: tuple[int, int], best: float) -> tuple[float, int]:
    """The scale and zero point of a range up to the highest of now, and from below `best`, which
    is at most a step above the lowest of now.
    """
    low, high = limits
    step = (now.highest - best) / (high - low - _MARGIN)
    return step, low + math.ceil(_MARGIN / 2 - best / step)


def _read_limits(proto: ModelProto, params: QuantParams) -> tuple[int, int]:
    if params.zero_point is None:
        return RANGES[TensorProto.UINT8]
    return RANGES[dict(list_tensors(proto))[params.zero_point].data_type]


def _serve_others(proto: ModelProto, head: ClassifierHead, names: set[str]) -> bool:
    """Whether a tensor is read by any node but the head's and those behind it."""
    behind = {head.logits}
    for node in proto.graph.node:
        if not behind.isdisjoint(node.input):
            behind.update(node.output)
    return any(
        behind.isdisjoint(node.output)
        for node in proto.graph.node
        if not names.isdisjoint(node.input)
    )
