"""What may stand between a head and its output: operators that keep the order of the scores.

To allow another one, add a row to `TAIL`: an operator, and what it does to the scores. Such a
function returns the trail behind its node, or how the node ends the order, as the end of a
sentence that begins with the head.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.constants import read_constant, read_integers
from nhle_onnx.graph.head.names import name_node
from nhle_onnx.graph.head.trail import Floats, Indices, Trail, hide, negate, scale, shift, take
from nhle_onnx.graph.node_quant_params import list_output_quant_params, read_input_quant_params

Step = Callable[[gs.Node, Trail], Trail | str]
_SAME_RANK = frozenset({"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"})


def _pass(node: gs.Node, trail: Trail) -> Trail:
    """Each score stays, in its place."""
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
    """A function that rises. At its ends it may round different scores to one number."""
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


_KEEP_SIGN = frozenset({"Tanh", "LeakyRelu", "Softsign", "Sqrt", "Elu"})


def _leak(node: gs.Node, trail: Trail) -> Trail | str:
    if float(node.attrs.get("alpha", 0.01)) <= 0:
        return f"is followed by {name_node(node)}, which does not rise"
    return _bend(node, trail, freezes=False)


def _clip(node: gs.Node, trail: Trail) -> Trail:
    """Clip at either end, or at none."""
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
    """A function of numbers above 0 alone: a masked score below would become NaN, and win."""
    if not trail.is_positive:
        return f"is followed by {node.op}, which gives NaN where a score is below 0"
    return _bend(node, trail)


def normalize(trail: Trail, *, tensor: str, node: gs.Node | None = None) -> Trail:
    """Divide by, or subtract, a number that all classes share; `tensor` is what is normalised."""
    is_quantized = node is not None and node.op.startswith("QLinear")
    frozen = trail if trail.is_frozen else replace(
        trail,
        scores=tensor,
        scores_quant_params=read_input_quant_params(node) if node and is_quantized else None,
    )  # fmt: skip
    return replace(
        frozen, bend=node.op if node else "a softmax", is_frozen=True, is_normalized=True,
        is_positive=node is None or node.op != "LogSoftmax",
    )  # fmt: skip


def _normalize(node: gs.Node, trail: Trail) -> Trail:
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
    axes = read_integers(node, "axes", 1)
    if axes is None or trail.axis is None:
        return _thaw(node, replace(trail, is_pooled=True, axis=None))
    if any(trail.counts_classes_along(axis) for axis in axes):
        return f"is followed by {name_node(node)}, which reduces the classes to one"
    places = [trail.count_from_end(axis) for axis in axes]
    keeps = bool(node.attrs.get("keepdims", 1))
    behind = sum(place is not None and place > trail.axis for place in places)
    axis = None if None in places else trail.axis if keeps else trail.axis + behind
    pooled = replace(trail, is_pooled=True, axis=axis)
    if trail.stacked is not None:
        if trail.stacked not in places:
            return f"is stacked with others, and followed by {name_node(node)}"
        share = 1 / len(trail.parts) if node.op == "ReduceMean" else 1.0
        averaged = scale(
            replace(pooled, stacked=None, is_pooled=trail.is_pooled),
            np.full(trail.num_classes, share), node.op,
        )  # fmt: skip
        return averaged if isinstance(averaged, str) else _thaw(node, averaged)
    return _thaw(node, pooled)


def _thaw(node: gs.Node, trail: Trail) -> Trail:
    """The scores are those behind this node."""
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
    factors = gain / np.sqrt(variance + float(node.attrs.get("epsilon", 1e-5)))
    scaled = scale(trail, factors, node.op)
    return scaled if isinstance(scaled, str) else shift(scaled, bias - mean * factors, node.op)


def _negate(node: gs.Node, trail: Trail) -> Trail | str:
    return negate(trail, node.op)


def _transpose(node: gs.Node, trail: Trail) -> Trail | str:
    order = list(node.attrs.get("perm") or reversed(range(len(trail.shape or ()))))
    front = None if trail.axis is None else trail.axis + len(order)
    return replace(trail, axis=order.index(front) - len(order) if front in order else None)


def _flatten(_node: gs.Node, trail: Trail) -> Trail:
    return replace(trail, axis=-1)


def _reshape(node: gs.Node, trail: Trail) -> Trail | str:
    """Find the axis of the classes again; they must stay on one."""
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
    """Find the axis with as many places as there are classes."""
    shape = trail.shapes.find(node.outputs[0]) or ()
    places = [place for place, extent in enumerate(shape) if place and extent == trail.num_classes]
    return places[0] - len(shape) if len(places) == 1 else None


def _squeeze(node: gs.Node, trail: Trail) -> Trail | str:
    axes = read_integers(node, "axes", 1)
    if trail.axis is None:
        return trail
    if axes is None:
        return replace(trail, axis=-1)
    places = [trail.count_from_end(axis) for axis in axes]
    if None in places:
        return replace(trail, axis=None)
    return replace(
        trail, axis=trail.axis + sum(place is not None and place > trail.axis for place in places)
    )


def _unsqueeze(node: gs.Node, trail: Trail) -> Trail | str:
    axes = read_integers(node, "axes", 1)
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


def _slice(node: gs.Node, trail: Trail) -> Trail | str:
    starts, ends = read_integers(node, "starts", 1), read_integers(node, "ends", 2)
    if starts is None or ends is None:
        return f"is followed by {name_node(node)}, whose ends are not constant"
    axes = read_integers(node, "axes", 3) or tuple(range(len(starts)))
    steps = read_integers(node, "steps", 4) or (1,) * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if trail.counts_classes_along(axis):
            last = None if step < 0 and end < -trail.num_classes else end
            trail = take(trail, np.arange(trail.num_classes)[start:last:step])
        elif (start, step) != (0, 1) or end < np.iinfo(np.int32).max:
            return f"is followed by {name_node(node)} along another axis than the classes'"
    return trail


def _gather(node: gs.Node, trail: Trail) -> Trail | str:
    chosen = read_constant(node.inputs[1])
    if chosen is None or chosen.ndim != 1:
        return f"is followed by {name_node(node)}, which does not take constant classes"
    if not trail.counts_classes_along(int(node.attrs.get("axis", 0))):
        return f"is followed by {name_node(node)} along another axis than the classes'"
    indices: Indices = chosen.astype(np.int64)
    if ((indices < -trail.num_classes) | (indices >= trail.num_classes)).any():
        return f"is followed by {name_node(node)}, which takes classes that are not there"
    return take(trail, indices % trail.num_classes)


def _gather_nd(node: gs.Node, trail: Trail) -> Trail | str:
    """Choose along the first axis, as exporters write the choice of a turned tensor's classes."""
    chosen = read_constant(node.inputs[1])
    is_list = chosen is not None and chosen.ndim == 2 and chosen.shape[1] == 1  # noqa: PLR2004
    if not is_list or node.attrs.get("batch_dims", 0) or not trail.counts_classes_along(0):
        return f"is followed by {name_node(node)}, which does not take constant classes"
    return take(trail, np.asarray(chosen, np.int64).ravel() % trail.num_classes)


def multiply(node: gs.Node, trail: Trail, operand: gs.Tensor) -> Trail | str:
    """Multiply by a constant."""
    factors = lay_along_classes(operand, trail)
    if factors is None or not np.isfinite(factors).all():
        return f"is followed by {name_node(node)}, whose factor is not constant"
    return scale(trail, factors, name_node(node))


def divide(node: gs.Node, trail: Trail, operand: gs.Tensor) -> Trail | str:
    """Divide by a constant, as a temperature does."""
    divisors = lay_along_classes(operand, trail)
    if divisors is None or not np.isfinite(divisors).all() or not divisors.all():
        return f"is followed by {name_node(node)}, whose divisor is not constant"
    return scale(trail, 1 / divisors, name_node(node))


def shift_by(node: gs.Node, trail: Trail, operand: gs.Tensor, sign: float = 1) -> Trail | str:
    """Add a constant, such as a mask of classes, or subtract it."""
    amounts = lay_along_classes(operand, trail)
    if amounts is None or np.isnan(amounts).any() or (sign * amounts == np.inf).any():
        return f"is followed by {name_node(node)}, whose operand is not constant"
    return shift(trail, sign * amounts, name_node(node))


def choose(node: gs.Node, trail: Trail, constant: gs.Tensor, *, keeps: bool) -> Trail | str:
    """Replace the scores of some classes by a constant; `keeps` says where the others stay."""
    chosen = lay_along_classes(node.inputs[0], trail)
    values = lay_along_classes(constant, trail)
    if chosen is None or values is None:
        return f"is followed by {name_node(node)}, which does not choose constant classes"
    is_hidden = (chosen != 0) != keeps
    hidden = values[is_hidden]
    if len(hidden) and (hidden != hidden[0]).any():
        return f"is followed by {name_node(node)}, with several constants"
    return hide(trail, is_hidden, float(hidden[0])) if len(hidden) else trail


def lay_along_classes(tensor: gs.Tensor, trail: Trail) -> Floats | None:
    """Return a constant as one number for each class, [K], if that is what it broadcasts to."""
    values = read_constant(tensor)
    if values is None or values.dtype.kind not in "fiub":
        return None
    if values.size == 1:
        return np.full(trail.num_classes, float(values.ravel()[0]))
    axis = -1 if trail.axis is None else trail.axis
    expected = [1] * values.ndim
    if values.ndim < -axis:
        return None
    expected[axis] = trail.num_classes
    return values.astype(np.float64).ravel() if [*values.shape] == expected else None


TAIL: Mapping[str, Step] = {
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
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherND": _gather_nd,
    "GlobalAveragePool": _pool,
    "GlobalMaxPool": _pool,
    "HardSigmoid": partial(_separate, clamps=True),
    "Hardmax": _normalize,
    "Identity": _pass,
    "LeakyRelu": _leak,
    "Log": _bend_positive,
    "LogSoftmax": _normalize,
    "LpNormalization": _normalize,
    "Neg": _negate,
    "QLinearAveragePool": _pool,
    "QLinearGlobalAveragePool": _pool,
    "QLinearSigmoid": _separate,
    "QLinearSoftmax": _normalize,
    "QuantizeLinear": _pass,
    "ReduceMax": _pool,
    "ReduceMean": _pool,
    "ReduceSum": _pool,
    "Relu": partial(_bend, clamps=True, freezes=False, is_positive=True),
    "Reshape": _reshape,
    "Selu": partial(_bend, clamps=True),
    "Sigmoid": _separate,
    "Slice": _slice,
    "Softmax": _normalize,
    "Softplus": partial(_bend, clamps=True, is_positive=True),
    "Softsign": partial(_bend, clamps=True, caps=True),
    "Sqrt": _bend_positive,
    "Squeeze": _squeeze,
    "Tanh": partial(_separate, clamps=True),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
