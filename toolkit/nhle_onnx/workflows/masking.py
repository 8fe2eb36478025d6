"""unlearn: the head's mask, and whether it holds in the model's number format."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head_values import read_head, read_lowest_bias, write_head
from nhle_onnx.graph.score_range import Range, find_score_range, read_range, widen_scores
from nhle_onnx.unlearn.cwm import HeadValues, check_maskable, mask_classes
from nhle_onnx.values.model import ClassifierHead
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.request import ForgetRequest

Array = npt.NDArray[np.floating]
_TRAIN_INSTEAD = "Use --method nhle, which trains the features and is judged by them."


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """What was masked, what else had to change for it, and what is to be said of it."""

    rescaled: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check_mask(
    proto: ModelProto, head: ClassifierHead, request: ForgetRequest, options: UnlearnOptions
) -> tuple[str, ...]:
    """What is to be said of the mask, found by masking a copy.

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
    notes = check_maskable(head, request, options.mask)
    weight, bias = read_head(proto, head)
    values = HeadValues(weight=weight, bias=bias, lowest_bias=read_lowest_bias(proto, head))
    masked = mask_classes(values, head, request, options.mask, activations)
    write_head(proto, head, masked.weight, masked.bias)
    scores = find_score_range(proto, head)
    if options.mask != "floor" or scores is None:
        return Masked(notes=notes)
    settled = _settle_in_range(proto, head, request, scores, rescales=options.rescale)
    return Masked(rescaled=settled.rescaled, notes=(*notes, *settled.notes))


def _settle_in_range(
    proto: ModelProto,
    head: ClassifierHead,
    request: ForgetRequest,
    scores: Range,
    *,
    rescales: bool,
) -> Masked:
    """See that no forgotten class wins where the output's own grid clamps the floor."""
    best = _find_lowest_best(proto, head, request)
    floor = max(read_head(proto, head)[1][list(request.forget)].max(), scores.lowest)
    if floor > scores.lowest + scores.step and best <= floor + scores.step:
        message = (
            f"the head's bias goes down to {floor:.3g} only, and all other scores can fall to "
            f"{max(best, scores.lowest):.3g}: a masked class could win"
        )
        raise UnsupportedModelError(message, remedy=_TRAIN_INSTEAD)
    if best > scores.lowest + scores.step:
        return Masked()
    if rescales:
        rescaled = widen_scores(proto, head, best)
        now = find_score_range(proto, head) or scores
        note = (
            f"the output's range was widened down to {now.lowest:.3g}, so that no features bring "
            f"every retained class down to the masked score; a step grew from {scores.step:.3g} "
            f"to {now.step:.3g}"
        )
        return Masked(rescaled=rescaled, notes=(note,))
    first, winners = min(request.retained), min(request.forget)
    if winners < first:
        message = (
            f"the output's own quantization ends at {scores.lowest:.3g}, where all retained scores "
            f"can come to lie with the masked one, and class {winners} wins such a tie, being first"
        )
        raise UnsupportedModelError(
            message, remedy="Give --rescale to widen the output's range, or --method nhle."
        )
    note = (
        f"the output's own quantization ends at {scores.lowest:.3g}: features that bring every "
        f"retained score down to it tie with the mask, which loses, as class {first} stands before "
        "it; --rescale rules the tie out"
    )
    return Masked(notes=(note,))


def _find_lowest_best(proto: ModelProto, head: ClassifierHead, request: ForgetRequest) -> float:
    """The score that some retained class reaches whatever the features are."""
    if head.feature_limits is None:
        return -np.inf
    # scipy takes a while to import, and only quantized heads need it
    from nhle_onnx.unlearn.winning import find_lowest_best  # noqa: PLC0415

    features = read_range(proto, head.feature_limits)
    weight, bias = read_head(proto, head)
    rows = np.moveaxis(weight, head.class_axis, 0).reshape(head.num_classes, head.feature_dim)
    kept = list(request.retained)
    return find_lowest_best(rows[kept], bias[kept], features.lowest, features.highest)
