"""audit on a detector, the gates: what was found against what must not be found."""

from collections.abc import Mapping

from nhle_onnx.auditing.placement import RESOLUTION
from nhle_onnx.hints import hint
from nhle_onnx.values.audit import Measure, Skipped
from nhle_onnx.values.detection import Precision
from nhle_onnx.values.outcomes import Role
from nhle_onnx.values.settings.gates import Limits
from nhle_onnx.values.verdict import Check
from nhle_onnx.workflows.audit_gates import (
    NOT_RETRAINED,
    describe_close,
    judge_positions,
    judge_skipped,
)
from nhle_onnx.workflows.detection.gates import judge_precision

UNMASKED, REBUILT = "unmasking.ap_f", "rebuilding.ap_f"
_PLACED = (REBUILT, "probe.balanced_accuracy", "relearning.mean_ap_f")
_NO_IMAGES = "no image with boxes shows the class: give some, with boxes of it"
_NO_REFERENCE = hint(
    "without {reference} it cannot be told whether new class channels find more of the class than "
    "they would in a detector that never saw it: give one that was trained without it"
)


def judge_detector(
    precisions: Mapping[Role, Precision],
    measures: tuple[Measure, ...],
    skipped: tuple[Skipped, ...],
    limits: Limits,
    images: int,
) -> tuple[tuple[str, ...], tuple[Check, ...]]:
    """Return notes on what cannot be placed, and every gate. So many `images` show the class."""
    found = {measure.name: measure for measure in measures}
    placed = [found[name] for name in _PLACED if name in found]
    checks = judge_precision(
        precisions["edited"], precisions["original"], None, limits, judges_features=False
    )
    checks += tuple(
        judge(found[name], limits)
        for name, judge in ((UNMASKED, _judge_unmasked), (REBUILT, _judge_rebuilt))
        if name in found
    )
    checks += (*judge_skipped(skipped), *judge_positions(placed))
    if "reference" not in precisions:
        return (), checks
    suspect = (NOT_RETRAINED,) if UNMASKED in found and _is_relative(found[UNMASKED]) else ()
    return (*suspect, *describe_close(placed, images)), checks


def _judge_unmasked(measure: Measure, limits: Limits) -> Check:
    """Judge the original's channels: they may find no more than in a detector that never saw it."""
    limit = limits.max_unmasked_acc_f
    if not _is_relative(measure):
        limit = max(limit, measure.reference or 0.0)
    return _limit(measure, limit, _NO_IMAGES if measure.edited is None else "")


def _judge_rebuilt(measure: Measure, limits: Limits) -> Check:
    """Judge fitted channels: they may find no more than in a detector that never saw the class.

    Without such a detector, what they find is not judged, and fails only if it is as much as in the
    original.
    """
    few = limits.max_unmasked_acc_f
    if measure.reference is not None:
        return _limit(measure, max(few, measure.reference + RESOLUTION), "")
    limit = max(few, (measure.original or 0.0) - RESOLUTION)
    is_little = measure.edited is not None and measure.edited <= few
    return _limit(measure, limit, "" if is_little else _NO_REFERENCE)


def _limit(measure: Measure, limit: float, gap: str) -> Check:
    return Check(name=measure.name, value=measure.edited, limit=limit, better="lower", gap=gap)


def _is_relative(measure: Measure) -> bool:
    """Whether the original's channels find the class in the reference's features as well."""
    known, found = measure.original or 0.0, measure.reference or 0.0
    return found > known / 2
