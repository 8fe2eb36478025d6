"""Ranges of features, biases and scores in a quantized model: can a masked class still win?

Also widens these ranges, for a lower bias or for a score below all others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.element_types import get_range
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.quant_params import express_reals
from nhle_onnx.graph.tensors import write_tensor
from nhle_onnx.graph.traversal import list_graphs
from nhle_onnx.hints import hint
from nhle_onnx.values.model import QuantParams

_REMEDY = hint("Use {method=nhle}, which trains the features and is judged on them.")
_MARGIN = 2  # steps between a masked score and a winner's lowest one
_HALVED_ABOVE = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The lowest and highest values of a quantized tensor, and the step between neighbours."""

    lowest: float
    highest: float
    step: float


def read_range(index: GraphIndex, params: QuantParams) -> Range:
    """Return the range for parameters with a single scale."""
    low, high = _read_limits(index, params)
    lowest, highest = express_reals(index, np.array([low, high], np.float64), params)
    step = (highest - lowest) / (high - low)
    return Range(lowest=float(lowest), highest=float(highest), step=float(step))


def find_score_range(head: Head) -> Range | None:
    """Return the narrowest range that the scores are rounded to; None if they are floats."""
    ranges = [read_range(head.index, params) for params in head.layout.score_quant_params]
    return max(ranges, key=lambda each: each.lowest, default=None)


def read_lowest_bias(head: Head) -> npt.NDArray[np.float64] | None:
    """Return the lowest bias [K] that a quantized head can hold; None where its bias is a float.

    Only half the range of a 32-bit bias is used: kernels add products to it and must not overflow.
    """
    layout = head.layout
    if layout.bias is None or layout.bias_quant_params is None:
        return None
    tensor = head.index.tensors[layout.bias]
    low, high = get_range(tensor.data_type)
    numbers = np.full(tensor.dims, low // 2 if high > _HALVED_ABOVE else low, np.float64)
    reals = express_reals(head.index, numbers, layout.bias_quant_params)
    return reals.reshape(layout.num_classes)


def widen_scores(head: Head, best: float) -> tuple[str, ...]:
    """Extend the range of the scores below `best`, in place: the maximum stays, the step grows.

    Returns the names of the scales and zero points that changed. Raises UnsupportedModelError where
    one of them serves another part of the graph as well, or no zero point can change.
    """
    numbers: dict[str, float] = {}
    index = head.index
    for params in head.layout.score_quant_params:
        now = read_range(index, params)
        if now.lowest + now.step < best:
            continue
        scale, zero_point = params.scales[0], params.zero_point
        if zero_point is None or _serve_others(head, {scale, zero_point}):
            message = f"the output's scale {scale} serves other tensors as well, or cannot change"
            raise UnsupportedModelError(message, remedy=_REMEDY)
        numbers[scale], numbers[zero_point] = _fit_below(now, _read_limits(index, params), best)
    for name, number in numbers.items():
        tensor = index.tensors[name]
        write_tensor(tensor, np.full(tuple(tensor.dims), number))
    return tuple(numbers)


def deepen_bias(head: Head, classes: Sequence[int], lowest: float) -> tuple[str, ...]:
    """Let the bias of some classes reach down to `lowest`, in place, and round the head again.

    Steps grow by a power of two. The step of a 32-bit bias is the product of the features' step and
    the weight's, so the weight's step grows as well. Returns the names of the changed scales.
    Raises UnsupportedModelError where a scale serves another tensor as well, or is one per block.
    """
    layout, index = head.layout, head.index
    reached = read_lowest_bias(head)
    own, of_weight = layout.bias_quant_params, layout.weight_quant_params
    if reached is None or layout.bias is None or own is None or of_weight is None:
        return ()
    growth = np.ones(layout.num_classes)
    growth[[*classes]] = 2.0 ** np.ceil(np.log2(np.maximum(lowest / reached[[*classes]], 1)))
    scales = set(of_weight.scales) & set(own.scales) or {*own.scales}
    if index.tensors[layout.bias].data_type == TensorProto.INT32:
        scales |= {*of_weight.scales}
    values = {name: index.read(name).astype(np.float64) for name in sorted(scales)}
    can_grow = all(each.size in {1, layout.num_classes} for each in values.values())
    if not can_grow or _are_shared(head.proto, scales):
        message = f"the head's scales {', '.join(values)} serve other tensors, or lie in blocks"
        raise UnsupportedModelError(message, remedy=hint("Use {method=nhle}."))
    stored = head.read()
    for name, each in values.items():
        factor = growth.max() if each.size == 1 else growth.reshape(each.shape)
        write_tensor(index.tensors[name], each * factor)
    head.write(*stored)
    return tuple(values)


def _fit_below(now: Range, limits: tuple[int, int], best: float) -> tuple[float, int]:
    """Return the scale and zero point of a range with the present maximum that starts below `best`.
    `best` is at most one step above the present minimum.
    """
    low, high = limits
    step = (now.highest - best) / (high - low - _MARGIN)
    return step, low + math.ceil(_MARGIN / 2 - best / step)


def _read_limits(index: GraphIndex, params: QuantParams) -> tuple[int, int]:
    if params.zero_point is None:
        return get_range(TensorProto.UINT8)
    return get_range(index.tensors[params.zero_point].data_type)


def _serve_others(head: Head, names: set[str]) -> bool:
    """Whether a node other than the head's own and those behind it reads a tensor."""
    behind = {head.layout.logits}
    nodes = head.proto.graph.node
    for node in nodes:
        if not behind.isdisjoint(node.input):
            behind.update(node.output)
    return any(behind.isdisjoint(node.output) for node in nodes if not names.isdisjoint(node.input))


def _are_shared(proto: ModelProto, names: set[str]) -> bool:
    """Whether any of the tensors is read more than once."""
    read = [
        name
        for graph in list_graphs(proto.graph)
        for node in graph.node
        for name in node.input
        if name in names
    ]
    return len(read) > len(names)
