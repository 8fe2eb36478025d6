"""CWM, class weight masking: the edit of the head, as pure NumPy functions.

Source: Wang et al., Scientific Reports 16, 11879 (2026), and its reference 44. The paper does
not say what happens to the bias; the three readings here differ in that.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from ml_dtypes import finfo

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.hints import hint
from nhle_onnx.values.model import ClassifierHead
from nhle_onnx.values.request import ForgetRequest, Mask

CONVEX_MARGIN = 10.0  # logits below another class: e^-10 of its probability
_HALF_MARGIN = 32.0  # the largest step of float16, so that none is rounded to a tie
IMPORTANCE_SHARE = 0.5  # of the head's units, the part that `importance` masks
_POOLED_POSITIONS = 2**16

Array = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadValues:
    """Weight [K, D] or [D, K], as the graph stores it, and bias [K] (zeros where it has none);
    `lowest_bias` [K] is what a quantized head holds at least; by default the type of `bias` says.
    """

    weight: Array
    bias: Array
    lowest_bias: Array | None = None


def mask_classes(
    values: HeadValues,
    head: ClassifierHead,
    request: ForgetRequest,
    mask: Mask,
    activations: Array | None = None,
) -> HeadValues:
    """Head values with the forgotten classes masked; all other rows keep their bytes.

    `convex`: the row of a retained class, and its bias less a margin, so that the class's
    score is that class's less the margin, whatever the features, in any number format: it cannot
    win, and is a score like others, which a later quantization need not make room for.
    `floor`: row 0 and the lowest bias that the number format holds, so the class cannot win for
    any finite features. `zero`: row and bias 0, which can still win where every other logit is
    negative. `importance`: the entries of the units most active on the class's samples become
    0; needs `activations`, mean features [len(forget), D].
    """
    weight, bias = values.weight.copy(), values.bias.copy()
    floor = find_floor(values, head)
    rows = weight if head.class_axis == 0 else weight.T  # a view: writes reach `weight`
    for position, index in enumerate(request.forget):
        if mask == "convex":
            shadowed = find_average_class(rows, request)
            rows[index] = rows[shadowed]
            bias[index] = bias[shadowed] - find_margin(values.bias) / head.bias_scale
        elif mask == "importance":
            if activations is None:
                message = "the importance mask needs mean activations"
                raise ValueError(message)
            rows[index, find_important_units(activations[position])] = 0
        else:
            rows[index] = 0
            bias[index] = floor[index] if mask == "floor" else 0
    return replace(values, weight=weight, bias=bias)


def resolve_mask(mask: Mask, head: ClassifierHead) -> Mask:
    """The mask that `auto` stands for: convex where real scores compete, floor where each is read
    by itself, where high scores are rounded to one number, or where whole numbers hold them.
    """
    if mask != "auto":
        return mask
    is_real = head.weight_quant_params is None and not head.score_quant_params
    is_open = not head.is_separate and not head.is_capped
    return "convex" if is_real and is_open and head.bias_scale else "floor"


def find_margin(bias: Array) -> float:
    """How far below another class's score the masked one lies, in logits."""
    return _HALF_MARGIN if bias.dtype == np.float16 else CONVEX_MARGIN


def find_average_class(rows: Array, request: ForgetRequest) -> int:
    """The retained class whose row [D, ...] is nearest to the mean of all retained rows."""
    kept = list(request.retained)
    flat = rows[kept].reshape(len(kept), -1).astype(np.float64)
    distances = np.linalg.norm(flat - flat.mean(0), axis=1)
    return kept[int(distances.argmin())]


def find_floor(values: HeadValues, head: ClassifierHead) -> Array:
    """The biases [K] that make each logit the format's lowest finite number, or near it.

    No finite logit is below it, and unlike -inf it leaves no NaN behind in a softmax. A Conv's
    logits are averaged afterwards, and their sum must not overflow where the format has room.
    """
    lowest = values.lowest_bias
    if lowest is None:
        lowest = np.full(head.num_classes, float(finfo(values.bias.dtype).min))
    if head.op == "Conv":
        has_room = lowest < -(float(_POOLED_POSITIONS) ** 2)
        lowest = np.where(has_room, lowest / _POOLED_POSITIONS, lowest)
    if abs(head.bias_scale) > 1:
        return lowest / head.bias_scale
    turned: Array = lowest * np.sign(head.bias_scale)
    return turned


def check_maskable(head: ClassifierHead, request: ForgetRequest, mask: Mask) -> tuple[str, ...]:
    """A note where a ReLU or Clip behind the head raises the floor, so that it can only tie.

    Argmax takes the first of equal scores: the class then loses every tie if a retained class
    stands before it. Raises UnsupportedModelError where none does, as the class could win.
    """
    if mask == "convex" and head.is_capped:
        message = (
            "what follows the head rounds high scores to one number, so that the shadow of a class "
            "can tie with it"
        )
        raise UnsupportedModelError(message, remedy=hint("Give {mask=floor}."))
    if mask not in {"floor", "convex"} or not head.is_clamped:
        return ()
    first = min(request.retained)
    winners = [index for index in request.forget if index < first]
    if winners:
        message = (
            f"a ReLU, Clip or another function with a lower bound follows the head, so a masked "
            f"class still has that score, and class {winners[0]} wins whenever all others have it "
            "too, being first"
        )
        raise UnsupportedModelError(
            message,
            remedy=hint(
                "Use {method=nhle}, which trains the features and is judged by them, or "
                "{mask=drop}, which takes the class's row out."
            ),
        )
    note = (
        f"a ReLU, Clip or another function with a lower bound follows the head: the masked score "
        f"is that bound, which loses even a tie, as class {first} stands before it"
    )
    return (note,)


def find_important_units(activations: Array) -> npt.NDArray[np.intp]:
    """The units with the largest mean activation [D], `IMPORTANCE_SHARE` of them."""
    count = max(1, round(IMPORTANCE_SHARE * len(activations)))
    return np.argsort(-activations, kind="stable")[:count]
