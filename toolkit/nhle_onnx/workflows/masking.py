"""unlearn: masking the head, and whether the mask holds in the model's number format."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.bounds import (
    Range,
    deepen_bias,
    find_score_range,
    read_lowest_bias,
    read_range,
    widen_scores,
)
from nhle_onnx.graph.head.drop import drop_classes
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.quant_params import has_range
from nhle_onnx.hints import hint
from nhle_onnx.unlearning.cwm import HeadValues, check_maskable, mask_classes, resolve_mask
from nhle_onnx.unlearning.shadow import mask_parts
from nhle_onnx.values.model import ClassifierHead
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.request import ForgetRequest

Array = npt.NDArray[np.floating]
_LOWEST = -1e30  # below every range, so it rounds to the lowest number


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """What was masked, what else had to change for it, and notes for the report."""

    rescaled: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check_mask(
    proto: ModelProto, head: ClassifierHead, request: ForgetRequest, options: UnlearnOptions
) -> tuple[str, ...]:
    """Mask a copy, and return notes on the mask.

    Raises UnsupportedModelError where a forgotten class could still win.
    """
    if not options.masks or options.mask == "importance":
        return ()
    masked = ModelProto()
    masked.CopyFrom(proto)
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
    notes = check_maskable(head, request, mask)
    bound = Head(proto, head)
    if _follows_classes(head) or (mask == "importance" and "Conv" in head.op):
        mask_parts(bound, request, mask, activations)
        return Masked(notes=notes)
    values = HeadValues(**bound.read()._asdict(), lowest_bias=read_lowest_bias(bound))
    masked = mask_classes(values, head, request, mask, activations)
    bound.write(masked.weight, masked.bias)
    if mask == "convex" and head.weight_quant_params is not None:
        _require_shadow(bound, request)
    scores = find_score_range(bound)
    if mask not in {"floor", "convex"} or scores is None:
        return Masked(notes=notes)
    sunk = (
        Masked()
        if mask == "convex"
        else _sink_rows(bound, request, scores, rescales=options.rescale)
    )
    settled = _settle_ties(bound, request, scores, rescales=options.rescale)
    return Masked(
        rescaled=(*sunk.rescaled, *settled.rescaled), notes=(*notes, *sunk.notes, *settled.notes)
    )


def _describe_drop(request: ForgetRequest) -> str:
    left = len(request.retained)
    return (
        f"the rows of the forgotten classes were taken out: the model has {left} outputs, and the "
        "classes behind them moved up; use the labels that were written with it"
    )


def _follows_classes(head: ClassifierHead) -> bool:
    """Whether scores are not simply logits. Behind whole numbers only a factor is found."""
    return not head.is_plain and head.weight_quant_params is None and not head.score_quant_params


def _require_shadow(head: Head, request: ForgetRequest) -> None:
    """Raise UnsupportedModelError where rounding may have lifted a masked row above all others."""
    if _find_lowest_lead(head, request) <= 0:
        message = (
            "the head's rows have steps of their own, so that a copy of another class's row is "
            "rounded, and may win"
        )
        raise UnsupportedModelError(message, remedy=hint("Give {mask=floor}."))


def _sink_rows(
    head: Head,
    request: ForgetRequest,
    scores: Range,
    *,
    rescales: bool,
) -> Masked:
    """Make sure that no forgotten class wins where the bias cannot reach below the lowest score.
    This can happen with an 8-bit bias. If necessary, the row is set to its lowest values too.
    """
    forgotten = list(request.forget)
    floor = _read_highest_bias(head, forgotten)
    if floor <= scores.lowest + scores.step:
        return Masked()
    if _find_lowest_lead(head, request) > scores.step:
        return Masked()
    head.fill_rows(forgotten, _LOWEST)
    if _find_lowest_lead(head, request) > scores.step:
        note = (
            f"the head's bias reaches down to {floor:.3g} only, so the masked row was also set to "
            "the lowest values of its format: with any features, it does not win"
        )
        return Masked(notes=(note,))
    rescaled = deepen_bias(head, forgotten, scores.lowest) if rescales else ()
    head.fill_rows(forgotten, 0, scores.lowest)
    if not _read_highest_bias(head, forgotten) <= scores.lowest + scores.step:
        message = (
            f"the head's bias reaches down to {floor:.3g} only, and all other scores can fall "
            "below that: a masked class could win"
        )
        raise UnsupportedModelError(message, remedy=_name_remedy("the bias's", rescales=rescales))
    note = (
        f"the head's bias reached down to {floor:.3g} only, so the steps of its weights and "
        f"biases were enlarged until it reached {scores.lowest:.3g}"
    )
    return Masked(rescaled=rescaled, notes=(note,))


def _name_remedy(whose: str, *, rescales: bool) -> str:
    """Return what else to try, except what was given."""
    if rescales:
        return hint("Use {method=nhle}, which masks nothing.")
    return hint("Give {rescale=True} to widen {whose} range, or {method=nhle}.", whose=whose)


def _read_highest_bias(head: Head, indices: list[int]) -> float:
    return float(head.read().bias[indices].max())


def _settle_ties(
    head: Head,
    request: ForgetRequest,
    scores: Range,
    *,
    rescales: bool,
) -> Masked:
    """Make sure that no forgotten class wins a tie where quantization clips all scores."""
    best = _find_lowest_best(head, request)
    if best > scores.lowest + scores.step:
        return Masked()
    if rescales and np.isfinite(best):
        rescaled = widen_scores(head, best)
        now = find_score_range(head) or scores
        note = (
            f"the output's range was widened down to {now.lowest:.3g}, so that some retained "
            f"class is always above the masked score; a step grew from {scores.step:.3g} to "
            f"{now.step:.3g}"
        )
        return Masked(rescaled=rescaled, notes=(note,))
    first, winner = min(request.retained), min(request.forget)
    if winner < first:
        message = (
            f"the output's quantization ends at {scores.lowest:.3g}; all retained scores can be "
            f"clipped to it and tie with the masked one, and class {winner} wins such a tie, as "
            "the first class"
        )
        raise UnsupportedModelError(message, remedy=_name_remedy("the output's", rescales=rescales))
    note = hint(
        f"the output's quantization ends at {scores.lowest:.3g}: if all retained scores are "
        f"clipped to it, they tie with the masked class, which loses, as class {first} comes "
        "first; {rescale=True} rules the tie out"
    )
    return Masked(notes=(note,))


def _find_lowest_best(head: Head, request: ForgetRequest) -> float:
    """Find the score that some retained class reaches with any features."""
    rows, kept = head.rows, list(request.retained)
    return _minimize(head, rows.weight[kept], rows.bias[kept])


def _find_lowest_lead(head: Head, request: ForgetRequest) -> float:
    """Find by how much some retained class exceeds each forgotten one with any features."""
    rows, kept = head.rows, list(request.retained)
    return min(
        _minimize(head, rows.weight[kept] - rows.weight[index], rows.bias[kept] - rows.bias[index])
        for index in request.forget
    )


def _minimize(head: Head, rows: Array, biases: Array) -> float:
    limits = head.layout.feature_limits
    if limits is None or not has_range(head.index, limits):
        return -np.inf
    # scipy takes a while to import, and only quantized heads need it
    from nhle_onnx.unlearning.mask_bounds import find_lowest_best  # noqa: PLC0415

    features = read_range(head.index, limits)
    return find_lowest_best(rows, biases, features.lowest, features.highest)
