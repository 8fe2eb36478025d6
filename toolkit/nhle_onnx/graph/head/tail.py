"""What may stand between a head and its output: operators that keep the order of the scores.

To allow another one, add a row to `TAIL`: an operator, and a function that follows scores through
it. The function returns the trail behind its node, or how the node breaks the order, as the end of
a sentence that begins with the head.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.constants import read_constant, read_integers
from nhle_onnx.graph.head.names import name_node
from nhle_onnx.graph.head.sums import negate, scale, shift
from nhle_onnx.graph.head.tail_axes import (
    flatten,
    gather,
    gather_nd,
    reshape,
    slice_classes,
    squeeze,
    transpose,
    unsqueeze,
)
from nhle_onnx.graph.head.trail import Trail
from nhle_onnx.graph.node_quant_params import list_output_quant_params, read_input_quant_params

Step = Callable[[gs.Node, Trail], Trail | str]
_SAME_RANK = frozenset({"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"})


def _pass(node: gs.Node, trail: Trail) -> Trail:
    """Keep each score in its place."""
    if trail.is_frozen:
        return trail
    return replace(trail, limits=(*list_output_quant_params(node), *trail.limits))


def _bend(
    node: gs.Node,
    trail: Trail,
    *,
    clamps: bool = False,
    caps: bool = False,
    freezes: bool = True,
    is_positive: bool = False,
) -> Trail:
    """Apply a function that increases. At its ends, it may map different scores to one number: with
    `clamps` at the lower end, with `caps` at the upper. With `freezes`, the head's scores are those
    before it. `is_positive`: its results are never below 0.
    """
    is_open = not trail.is_normalized
    return replace(
        trail,
        bend=node.op,
        is_frozen=trail.is_frozen or freezes,
        is_clamped=trail.is_clamped or (clamps and is_open),
        is_capped=trail.is_capped or (caps and is_open),
        is_positive=is_positive or (trail.is_positive and node.op in _KEEP_SIGN),
        limits=trail.limits if freezes else (*list_output_quant_params(node), *trail.limits),
    )


_SIGNED = frozenset({"LayerNormalization", "LpNormalization"})  # results of either sign
_KEEP_SIGN = frozenset({"Tanh", "LeakyRelu", "Softsign", "Sqrt", "Elu"})


def _bend_leaky(node: gs.Node, trail: Trail) -> Trail | str:
    if float(node.attrs.get("alpha", 0.01)) <= 0:
        return f"is followed by {name_node(node)}, whose slope is not positive"
    return _bend(node, trail, freezes=False)


def _bend_by_slopes(node: gs.Node, trail: Trail) -> Trail | str:
    slopes = read_constant(node.inputs[1])
    if slopes is None or (slopes <= 0).any() or (slopes != slopes.ravel()[0]).any():
        return f"is followed by {name_node(node)}, whose slopes differ or are not positive"
    return _bend(node, trail, freezes=False)


def _clip(node: gs.Node, trail: Trail) -> Trail:
    """Clip at one end, at both, or at neither."""
    limits = [node.attrs.get("min"), node.attrs.get("max")]
    for position, given in enumerate(node.inputs[1:3]):
        limits[position] = None if given.is_empty() else given
    low, high = limits
    bottom = read_constant(low) if isinstance(low, gs.Tensor) else low
    return _bend(
        node, trail, clamps=low is not None, caps=high is not None, freezes=False,
        is_positive=trail.is_positive or (bottom is not None and float(np.min(bottom)) >= 0),
    )  # fmt: skip


def _bend_positive(node: gs.Node, trail: Trail) -> Trail | str:
    """Apply a function that is defined only above 0: it would make a lower, masked score NaN, which
    wins.
    """
    if not trail.is_positive:
        return f"is followed by {node.op}, which gives NaN where a score is below 0"
    return _bend(node, trail)


def normalize(trail: Trail, *, tensor: str, node: gs.Node | None = None) -> Trail:
    """Divide by, or subtract, a number that all classes share. `tensor` names the scores before."""
    is_quantized = node is not None and node.op.startswith("QLinear")
    frozen = trail if trail.is_frozen else replace(
        trail,
        scores=tensor,
        scores_quant_params=read_input_quant_params(node) if node and is_quantized else None,
    )  # fmt: skip
    name = node.op if node else "a softmax"
    return replace(
        frozen, bend=name, is_frozen=True, is_normalized=name not in _SIGNED,
        is_positive=name not in {*_SIGNED, "LogSoftmax"},
    )  # fmt: skip


def _normalize(node: gs.Node, trail: Trail) -> Trail | str:
    axis = int(node.attrs.get("axis", -1))
    place, shape = trail.count_from_end(axis), trail.shape
    is_alone = place is None or shape is None or shape[place] == 1
    if not (is_alone or trail.shares_along((axis,))):
        return f"is followed by {name_node(node)} along another axis than the classes'"
    return normalize(trail, tensor=node.inputs[0].name, node=node)


def _separate(node: gs.Node, trail: Trail, *, clamps: bool = False) -> Trail:
    """Turn each score into a probability of its own."""
    separate = replace(normalize(trail, tensor=node.inputs[0].name, node=node), is_normalized=False)
    return replace(
        separate, is_separate=True, is_clamped=trail.is_clamped or clamps, is_capped=True
    )


def _pool(node: gs.Node, trail: Trail) -> Trail | str:
    """Take the mean, sum or maximum of each class's map of scores, or of several heads."""
    if node.op in _SAME_RANK or node.op.startswith("QLinear"):
        return _thaw(node, replace(trail, is_pooled=True))
    axes = read_integers(node, "axes", 1, absent=())
    if axes is None:
        return f"is followed by {name_node(node)}, whose axes are not constant"
    if not axes and node.attrs.get("noop_with_empty_axes", 0):
        return _pass(node, trail)
    if not axes or any(trail.counts_classes_along(axis) for axis in axes):
        return f"is followed by {name_node(node)}, which reduces the classes to one"
    places = [trail.count_from_end(axis) for axis in axes]
    pooled = replace(trail, is_pooled=True, axis=_find_axis_behind(node, trail, places))
    return _thaw(node, pooled) if trail.stacked is None else _add_up(node, trail, pooled, places)


def _find_axis_behind(node: gs.Node, trail: Trail, places: Sequence[int | None]) -> int | None:
    """Find the axis of the classes behind a node that reduces other axes."""
    if trail.axis is None or None in places:
        return None
    behind = sum(place in range(trail.axis + 1, 0) for place in places)
    return trail.axis if node.attrs.get("keepdims", 1) else trail.axis + behind


def _add_up(
    node: gs.Node, trail: Trail, pooled: Trail, places: Sequence[int | None]
) -> Trail | str:
    """Add up stacked heads, or average them."""
    if trail.stacked not in places:
        return f"is stacked with others, and followed by {name_node(node)}"
    share = 1 / len(trail.parts) if node.op == "ReduceMean" else 1.0
    shares = np.full(trail.num_classes, share)
    added = scale(replace(pooled, stacked=None, is_pooled=trail.is_pooled), shares, node.op)
    return added if isinstance(added, str) else _thaw(node, added)


def _thaw(node: gs.Node, trail: Trail) -> Trail:
    """Take the scores behind this node as the head's."""
    limits = list_output_quant_params(node)
    return replace(
        trail, is_frozen=False, scores=node.outputs[0].name, limits=(*limits, *trail.limits)
    )


def _batch_norm(node: gs.Node, trail: Trail) -> Trail | str:
    if node.attrs.get("training_mode", 0):
        return f"is followed by {name_node(node)} in training mode"
    if trail.axis is not None and not trail.counts_classes_along(1):
        return f"is followed by {name_node(node)} along another axis than the classes'"
    found = [read_constant(tensor) for tensor in node.inputs[1:5]]
    if any(each is None or each.size != trail.num_classes for each in found):
        return f"is followed by {name_node(node)}, whose numbers are not constant"
    gain, bias, mean, variance = (np.asarray(each, np.float64).ravel() for each in found)
    with np.errstate(invalid="ignore"):  # a negative variance is refused below
        factors = gain / np.sqrt(variance + float(node.attrs.get("epsilon", 1e-5)))
    scaled = scale(trail, factors, node.op)
    return scaled if isinstance(scaled, str) else shift(scaled, bias - mean * factors, node.op)


def _normalize_alike(node: gs.Node, trail: Trail) -> Trail | str:
    """Standardise the scores of an image, with one gain and offset for all classes."""
    is_last = int(node.attrs.get("axis", -1)) in {-1, len(trail.shape or ()) - 1}
    numbers = [read_constant(each) for each in node.inputs[1:]]
    is_alike = all(each is not None and (each == each.ravel()[0]).all() for each in numbers)
    if trail.axis != -1 or not is_last or not is_alike or not (np.asarray(numbers[0]) > 0).all():
        return f"is followed by {name_node(node)}, which weights the classes"
    return normalize(trail, tensor=node.inputs[0].name, node=node)


def _negate(node: gs.Node, trail: Trail) -> Trail | str:
    return negate(trail, node.op)


TAIL: Mapping[str, Step] = {
    "Asinh": partial(_bend, caps=True),
    "Atan": partial(_bend, clamps=True, caps=True),
    "AveragePool": _pool,
    "BatchNormalization": _batch_norm,
    "Cast": _pass,
    "Celu": partial(_bend, clamps=True),
    "Clip": _clip,
    "DequantizeLinear": _pass,
    "Dropout": _pass,
    "Elu": partial(_bend, clamps=True),
    "Erf": partial(_bend, clamps=True, caps=True),
    "Exp": partial(_bend, clamps=True, is_positive=True),
    "Flatten": flatten,
    "Gather": gather,
    "GatherND": gather_nd,
    "GlobalAveragePool": _pool,
    "GlobalMaxPool": _pool,
    "HardSigmoid": partial(_separate, clamps=True),
    "Hardmax": _normalize,
    "Identity": _pass,
    "LayerNormalization": _normalize_alike,
    "LeakyRelu": _bend_leaky,
    "Log": _bend_positive,
    "LogSoftmax": _normalize,
    "LpNormalization": _normalize,
    "Neg": _negate,
    "PRelu": _bend_by_slopes,
    "QLinearAveragePool": _pool,
    "QLinearGlobalAveragePool": _pool,
    "QLinearSigmoid": _separate,
    "QLinearSoftmax": _normalize,
    "QuantizeLinear": _pass,
    "ReduceMax": _pool,
    "ReduceMean": _pool,
    "ReduceSum": _pool,
    "Relu": partial(_bend, clamps=True, freezes=False, is_positive=True),
    "Reshape": reshape,
    "Selu": partial(_bend, clamps=True),
    "Sigmoid": _separate,
    "Slice": slice_classes,
    "Softmax": _normalize,
    "Softplus": partial(_bend, clamps=True, is_positive=True),
    "Softsign": partial(_bend, clamps=True, caps=True),
    "Sqrt": _bend_positive,
    "Squeeze": squeeze,
    "Tanh": partial(_separate, clamps=True),
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
