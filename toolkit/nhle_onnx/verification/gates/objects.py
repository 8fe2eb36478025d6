"""The gates on a detector's objects: how many of them are detected."""

from collections.abc import Sequence
from dataclasses import replace

from nhle_onnx.hints import hint
from nhle_onnx.text import format_percent
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.gates import Limits
from nhle_onnx.values.verdict import Check, Evidence
from nhle_onnx.verification.gates.retained import explain_lost
from nhle_onnx.verification.gates.terms import NO_BASELINE
from nhle_onnx.verification.intervals import count_needed, describe_change, describe_share

KNOWN = 0.1  # average precision of a class that a detector knows, or share of its objects
NO_OTHERS = "no image with boxes shows another class: give some, with boxes of it"
NO_IMAGES = "no image with boxes shows the class: give some, with boxes of it"


def judge_objects(
    after: ClassCounts, before: ClassCounts | None, request: ForgetRequest, limits: Limits
) -> tuple[Check, ...]:
    """Judge how many objects of the forgotten classes are detected, and of the others."""
    left = judge_detected(*_add_up(after, request.forget), limits)
    if not all(after.total[index] for index in request.forget):
        left = replace(left, gap=NO_IMAGES)
    others = _judge_others(after, before, request, limits)
    return left, others, _judge_known(before, request)


def judge_detected(detected: int, objects: int, limits: Limits) -> Check:
    """Judge the share of a forgotten class's objects that are still detected."""
    name, limit = "after.detected", limits.max_acc_f
    if not objects:
        return Check(name=name, value=None, limit=limit, better="lower", gap=NO_IMAGES)
    evidence = describe_share(detected, objects)
    gap = _explain_few(evidence, limits)
    return Check(
        name=name,
        value=detected / objects,
        limit=limit,
        better="lower",
        evidence=evidence,
        gap=gap,
    )


def _judge_known(before: ClassCounts | None, request: ForgetRequest) -> Check:
    """Judge how many objects of the forgotten classes were detected before."""
    found, objects = _add_up(before, request.forget) if before else (0, 0)
    return Check(
        name="before.detected",
        value=found / objects if objects else None,
        limit=KNOWN,
        better="higher",
        gap="" if objects else NO_IMAGES if before else NO_BASELINE,
    )


def _judge_others(
    after: ClassCounts, before: ClassCounts | None, request: ForgetRequest, limits: Limits
) -> Check:
    """Judge how many objects of other classes are no longer detected."""
    now, objects = _add_up(after, request.retained)
    value, evidence, gap = None, None, NO_OTHERS if not objects else NO_BASELINE
    if before and objects:
        was = _add_up(before, request.retained)[0] / objects
        value, evidence = now / objects - was, describe_change(was, now / objects, objects)
        gap = explain_lost(limits, evidence, "objects")
    return Check(
        name="delta_detected_r",
        value=value,
        limit=-limits.max_acc_r_drop,
        better="higher",
        evidence=evidence,
        gap=gap,
    )


def _add_up(counts: ClassCounts, classes: Sequence[int]) -> tuple[int, int]:
    """Return how many objects of some classes are detected, and how many there are."""
    return sum(counts.correct[index] for index in classes), sum(
        counts.total[index] for index in classes
    )


def _explain_few(evidence: Evidence, limits: Limits) -> str:
    allowed = limits.max_acc_f + limits.max_uncertainty
    if evidence.bound <= allowed:
        return ""
    return hint(
        f"{evidence.images} objects cannot rule out that {format_percent(evidence.bound)} of them "
        f"are still detected: about {count_needed(allowed)} are enough; give more, or a larger "
        "{max_uncertainty}"
    )
