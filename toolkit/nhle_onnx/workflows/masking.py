"""unlearn: masking the head, and whether the mask holds in the model's number format."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.head.bounds import find_lowest_score, read_lowest_bias
from nhle_onnx.graph.head.drop import drop_classes
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.head.shadow import adopt_scales
from nhle_onnx.graph.head.tie import lower_by_a_step
from nhle_onnx.hints import hint
from nhle_onnx.unlearning.cwm import (
    TIE_REMEDY,
    HeadValues,
    check_maskable,
    find_first,
    find_margin,
    find_shadowed,
    mask_classes,
    resolve_mask,
)
from nhle_onnx.unlearning.shadow import mask_parts
from nhle_onnx.values.model import ClassifierHead
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.request import ForgetRequest, Mask

Array = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """Scales and zero points that changed with the head's rows, and notes for the report."""

    adopted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check_mask(
    proto: ModelProto, head: ClassifierHead, request: ForgetRequest, options: UnlearnOptions
) -> tuple[str, ...]:
    """Mask a copy, and return notes on the mask.

    Raises UnsupportedModelError where a forgotten class could still win.
    """
    if not options.masks or options.mask == "importance":
        return ()
    masked = copy_model(proto)
    return mask_head(masked, head, request, options).notes


def mask_head(
    proto: ModelProto,
    head: ClassifierHead,
    request: ForgetRequest,
    options: UnlearnOptions,
    activations: Array | None = None,
) -> Masked:
    """Mask the head in place. Raises UnsupportedModelError where a forgotten class could still win
    for some features.
    """
    mask = resolve_mask(options.mask, head)
    if mask == "drop":
        drop_classes(proto, head, request.forget)
        return Masked(notes=(_describe_drop(request),))
    if mask == "importance" and head.parts:
        message = "the importance mask is for a single layer, and the scores are of several"
        raise UnsupportedModelError(message, remedy=hint("Give {mask=convex}."))
    notes = check_maskable(head, request, mask)
    bound = Head(proto, head)
    if _follows_classes(head) or (mask == "importance" and "Conv" in head.op):
        mask_parts(bound, request, mask, activations)
        return Masked(notes=notes)
    masked = _mask_rows(bound, request, mask, activations)
    return replace(masked, notes=(*notes, *masked.notes))


def _describe_drop(request: ForgetRequest) -> str:
    left = len(request.retained)
    return (
        f"the rows of the forgotten classes were taken out: the model has {left} outputs, and the "
        "classes behind them moved up; use the labels that were written with it"
    )


def _follows_classes(head: ClassifierHead) -> bool:
    """Whether scores are more than logits. Behind whole numbers only a factor is found."""
    return not head.is_plain and not head.has_steps and not head.score_quant_params


def _mask_rows(
    bound: Head, request: ForgetRequest, mask: Mask, activations: Array | None
) -> Masked:
    """Mask heads whose scores are their logits, perhaps in whole numbers, in place."""
    head = bound.layout
    stretch = sum(min(part.scales, default=1.0) for part in head.all_parts)
    shadowed: dict[int, int] = {}
    if mask == "convex":
        layers = [(_read_values(part, stretch), part.layout) for part in bound.parts]
        shadowed = dict(zip(request.forget, find_shadowed(layers, request), strict=True))
    adopted = [
        adopt_scales(part, source, index)
        for part in bound.parts
        for index, source in shadowed.items()
    ]
    biases: list[Array] = []
    for part in bound.parts:
        values = _read_values(part, stretch)
        chosen = tuple(shadowed.values())
        masked = mask_classes(values, part.layout, request, mask, activations, chosen)
        part.write(masked.weight, masked.bias)
        is_whole = part.layout.bias_quant_params is not None
        biases.append(part.read().bias if is_whole else masked.bias)
    notes = [_judge_shadow(bound, biases, *pair) for pair in shadowed.items()]
    if mask == "floor" and not head.is_separate:
        _require_floor(bound, request)
    if mask in {"floor", "convex"} and not head.is_separate:
        notes.append(_break_tie(bound, request))
    return Masked(
        adopted=tuple(name for names in adopted for name in names), notes=tuple(filter(None, notes))
    )


def _read_values(head: Head, stretch: float) -> HeadValues:
    return HeadValues(**head.read()._asdict(), lowest_bias=read_lowest_bias(head), stretch=stretch)


def _judge_shadow(head: Head, biases: Sequence[Array], index: int, shadowed: int) -> str:
    """Return a note where the biases have no room for the whole margin. Raises
    UnsupportedModelError where the class is no shadow.
    """
    rows = head.rows.weight
    lead = sum(
        float(bias[shadowed] - bias[index]) * part.bias_scale * min(part.scales, default=1.0)
        for bias, part in zip(biases, head.layout.all_parts, strict=True)
    )
    if not np.array_equal(rows[index], rows[shadowed]):
        message = (
            f"class {index} cannot have the row of class {shadowed}, as their scales lie in blocks "
            "of classes, or serve other layers"
        )
        raise UnsupportedModelError(message, remedy=hint("Give {mask=floor}."))
    if not lead > 0:
        message = f"the bias of class {shadowed} is the lowest that the head's format holds"
        raise UnsupportedModelError(message, remedy=TIE_REMEDY)
    if lead > find_margin(biases[0]) / 2:
        return ""
    return (
        f"the head's bias has room for {lead:.2g} logits: class {index} never wins, and has "
        f"{exp(-lead):.2g} of the probability of class {shadowed}"
    )


def _require_floor(head: Head, request: ForgetRequest) -> None:
    """Raise UnsupportedModelError where the lowest bias lies above scores of other classes."""
    lowest, forgotten = find_lowest_score(head), [*request.forget]
    # scores are rounded before or behind the factor: below both is low enough
    reached = max(
        float((part.own_rows.bias[forgotten] / part.places.scales[forgotten]).max())
        for part in head.parts
    )
    reached = max(reached, float(head.rows.bias[forgotten].max()))
    if lowest is not None and reached > lowest:
        message = (
            f"the head's bias reaches down to {reached:.3g} only, and all other scores can fall "
            "below that: a masked class could win"
        )
        raise UnsupportedModelError(message, remedy=hint("Give {mask=convex}."))


def _break_tie(head: Head, request: ForgetRequest) -> str:
    """Make sure that no forgotten class wins where all scores are rounded to the same number.

    Argmax takes the first of equal scores. So only a class before all retained ones could win.
    """
    first = find_first(request)
    if first is None or not head.layout.score_quant_params:
        return ""
    forgotten = [index for index in request.forget if index < min(request.retained)]
    if not lower_by_a_step(head.index, head.layout, forgotten):
        message = (
            f"the output is rounded to whole numbers, and class {first} wins whenever all scores "
            "are rounded to the same one, being first"
        )
        raise UnsupportedModelError(message, remedy=TIE_REMEDY)
    return (
        f"the output rounds the scores, so that all can be equal, and class {first} is the first: "
        "it is read one step lower, by a zero point of its own"
    )
