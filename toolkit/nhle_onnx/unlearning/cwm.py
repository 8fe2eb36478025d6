"""CWM, class weight masking: the edit of the head, as pure NumPy functions.

Source: Wang et al., Scientific Reports 16, 11879 (2026), and its reference 44. The paper does
not say what happens to the bias; the three readings here differ in that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from ml_dtypes import finfo

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.hints import hint
from nhle_onnx.values.model import ClassifierHead
from nhle_onnx.values.request import ForgetRequest, Mask

TIE_REMEDY = hint(
    "Use {method=nhle}, which trains the features and is judged by them, or {mask=drop}, which "
    "takes the class's row out."
)
CONVEX_MARGIN = 10.0  # logits below another class: e^-10 of its probability
_HALF_MARGIN = 32.0  # the largest step of float16, so that none is rounded to a tie
LOW_SCORE = -30.0  # the constant score of a class that is read by itself: a probability of 1e-13
IMPORTANCE_SHARE = 0.5  # of the head's units, the part that `importance` masks
_POOLED_POSITIONS = 2**16

Array = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadValues:
    """Weight [K, D] or [D, K], as the graph stores it, and bias [K] (zeros where it has none);
    `lowest_bias` [K] is the lowest that a quantized head can hold; by default, the type's lowest.
    `stretch` is how far scores move if the biases of all heads that are added up move by 1.
    """

    weight: Array
    bias: Array
    lowest_bias: Array | None = None
    stretch: float = 1.0


def mask_classes(
    values: HeadValues,
    head: ClassifierHead,
    request: ForgetRequest,
    mask: Mask,
    activations: Array | None = None,
    shadowed: Sequence[int] = (),
) -> HeadValues:
    """Head values with the forgotten classes masked; all other rows keep their bytes.

    `convex`: the row of a retained class, and its bias less a margin, so that the class's score is
    that class's less the margin, whatever the features, in any number format: it cannot win, and is
    a score like others, which a later quantization need not make room for. `floor`: row 0 and the
    lowest bias that the number format holds, so the class cannot win for any finite features; where
    each score is read by itself, a low one is enough. `zero`: row and bias 0, which can still win
    where every other logit is negative. `importance`: the entries of the units most active on the
    class's samples become 0; needs `activations`, mean features [len(forget), D]. `shadowed` are
    the retained classes that `find_shadowed` chose.
    """
    weight, bias = values.weight.copy(), values.bias.copy()
    floor = find_floor(values, head)
    shadowed = shadowed or find_shadowed([(values, head)], request)
    rows = weight if head.class_axis == 0 else weight.T  # a view: writes reach `weight`
    for position, index in enumerate(request.forget):
        if mask == "convex":
            rows[index] = rows[shadowed[position]]
            bias[index] = lower_bias(values, head, shadowed[position], index)
        elif mask == "importance":
            if activations is None:
                raise ValueError("the importance mask needs mean activations")
            rows[index, find_important_units(activations[position])] = 0
        else:
            rows[index] = 0
            bias[index] = floor[index] if mask == "floor" else 0
    return replace(values, weight=weight, bias=bias)


def resolve_mask(mask: Mask, head: ClassifierHead) -> Mask:
    """Return what `auto` stands for: floor where each score is read by itself, or where high scores
    are rounded to one number, else convex.
    """
    if mask != "auto":
        return mask
    return "floor" if head.is_separate or head.is_capped else "convex"


def lower_bias(values: HeadValues, head: ClassifierHead, shadowed: int, index: int) -> float:
    """Return the shadowed class's bias less the margin, or the lowest that the format can hold."""
    bias = float(values.bias[shadowed])
    margin = find_margin(values.bias) / min(1.0, values.stretch) / head.bias_scale
    lowered = bias - outweigh(margin, bias, values.bias)
    return lowered if values.lowest_bias is None else max(lowered, values.lowest_bias[index])


def find_margin(bias: Array) -> float:
    """Return how far below another class's score the masked one lies, in logits."""
    return _HALF_MARGIN if bias.dtype == np.float16 else CONVEX_MARGIN


def outweigh(margin: float, number: float, bias: Array) -> float:
    """Return a margin large enough not to be lost when a number less the margin is rounded."""
    steps = 2 * float(finfo(bias.dtype).eps) * abs(number)
    return float(np.copysign(max(abs(margin), steps), margin))


def find_shadowed(
    layers: Sequence[tuple[HeadValues, ClassifierHead]], request: ForgetRequest
) -> list[int]:
    """Find the retained class that each forgotten one shadows, in all heads that are added up.

    It stands before the forgotten one if any does, as argmax takes the first of equal scores. Its
    bias leaves room for the margin, and its row is the nearest to the mean of all retained rows.
    """
    kept = list(request.retained)
    lacking = np.sum([_find_lacking(*layer) for layer in layers], 0)
    flat = np.hstack([_flatten(*layer)[kept] for layer in layers])
    distances = dict(zip(kept, np.linalg.norm(flat - flat.mean(0), axis=1), strict=True))
    return [
        min(kept, key=lambda each: (each > index, lacking[each], distances[each]))
        for index in request.forget
    ]


def _flatten(values: HeadValues, head: ClassifierHead) -> npt.NDArray[np.float64]:
    rows = np.moveaxis(values.weight, head.class_axis, 0)
    return rows.reshape(len(rows), -1).astype(np.float64)


def _find_lacking(values: HeadValues, head: ClassifierHead) -> npt.NDArray[np.float64]:
    """Return how many logits of the margin each class's bias has no room for."""
    if values.lowest_bias is None:
        return np.zeros(head.num_classes)
    room = (values.bias - values.lowest_bias) * head.bias_scale
    margin = find_margin(values.bias) / min(1.0, values.stretch)
    lacking: npt.NDArray[np.float64] = np.maximum(margin - room, 0)
    return lacking


def find_floor(values: HeadValues, head: ClassifierHead) -> Array:
    """Return the biases [K] that make each logit the format's lowest finite number, or near it.

    No finite logit is below it, and unlike -inf it leaves no NaN behind in a softmax. A Conv's
    logits are averaged afterwards, and their sum must not overflow where the format has room. A
    score that is read by itself need not be as low.
    """
    lowest = values.lowest_bias
    if lowest is None:
        lowest = np.full(head.num_classes, float(finfo(values.bias.dtype).min))
    if head.op == "Conv":
        has_room = lowest < -(float(_POOLED_POSITIONS) ** 2)
        lowest = np.where(has_room, lowest / _POOLED_POSITIONS, lowest)
    if is_read_alone(head):
        lowest = np.maximum(lowest, LOW_SCORE)
    if abs(head.bias_scale) > 1 or is_read_alone(head):
        return lowest / head.bias_scale
    turned: Array = lowest * np.sign(head.bias_scale)
    return turned


def is_read_alone(head: ClassifierHead) -> bool:
    """Whether a low score is as good as the lowest: each is read by itself, and none is clipped."""
    return head.is_separate and not head.is_clamped


def check_maskable(head: ClassifierHead, request: ForgetRequest, mask: Mask) -> tuple[str, ...]:
    """Note that a ReLU or Clip behind the head raises the floor, so that it can only tie.

    Raises UnsupportedModelError where the class could win such a tie, or where high scores are
    rounded to one number.
    """
    if mask == "convex" and head.is_capped:
        message = (
            "what follows the head rounds high scores to one number, so that the shadow of a class "
            "can tie with it"
        )
        raise UnsupportedModelError(message, remedy=hint("Give {mask=floor}."))
    if mask not in {"floor", "convex"} or not head.is_clamped:
        return ()
    first = find_first(request)
    if first is not None:
        message = (
            "a ReLU, Clip or another function with a lower bound follows the head, and class "
            f"{first} wins whenever all scores are clipped to that bound, being first"
        )
        raise UnsupportedModelError(message, remedy=TIE_REMEDY)
    note = (
        "a ReLU, Clip or another function with a lower bound follows the head: the masked score "
        f"is that bound, which loses even a tie, as class {min(request.retained)} stands before it"
    )
    return (note,)


def find_first(request: ForgetRequest) -> int | None:
    """Return the first forgotten class if it stands before all retained ones: argmax takes the
    first of equal scores, so only this one can win where all are equal.
    """
    first = min(request.forget)
    return first if first < min(request.retained) else None


def find_important_units(activations: Array) -> npt.NDArray[np.intp]:
    """Find the units with the largest mean activation [D], `IMPORTANCE_SHARE` of them."""
    count = max(1, round(IMPORTANCE_SHARE * len(activations)))
    return np.argsort(-activations, kind="stable")[:count]
