"""The gates on a detector."""

from collections.abc import Sequence
from dataclasses import replace

from nhle_onnx.hints import hint
from nhle_onnx.values.detection import Precision
from nhle_onnx.values.settings.gates import Limits
from nhle_onnx.values.verdict import Check
from nhle_onnx.verification.accuracy import subtract
from nhle_onnx.verification.gates.objects import KNOWN, NO_IMAGES, NO_OTHERS, judge_detected

_NO_BASELINE = hint("without {baseline} there is no model to compare with")


def judge_precision(
    after: Precision,
    before: Precision | None,
    unmasked: Precision | None,
    limits: Limits,
    *,
    judges_features: bool = True,
    misfit: str = "",
) -> tuple[Check, ...]:
    """Judge what is left of the forgotten classes, and what the others lost. `misfit` says why the
    baseline's class channels could not be put back.
    """
    delta = subtract(after.map_r, before.map_r) if before else None
    checks = [
        _judge_forgotten("after.ap_f", after, limits.max_acc_f),
        judge_detected(after.detected, after.objects, limits),
        Check(
            name="delta_map_r",
            value=delta,
            limit=-limits.max_acc_r_drop,
            better="higher",
            gap=_explain_none(delta, before, NO_OTHERS),
        ),
    ]
    if judges_features:
        left = _judge_forgotten("unmasked.ap_f", unmasked, limits.max_unmasked_acc_f)
        checks.append(replace(left, gap=misfit or left.gap))
    known = before.ap_f if before else None
    gap = _explain_none(known, before, NO_IMAGES)
    checks.append(Check(name="before.ap_f", value=known, limit=KNOWN, better="higher", gap=gap))
    return tuple(checks)


def judge_promises(names: Sequence[tuple[str, int, int]]) -> tuple[Check, ...]:
    """Judge what an edit may change in a file: names, values and limits."""
    return tuple(
        Check(name=name, value=value, limit=limit, better="lower") for name, value, limit in names
    )


def _judge_forgotten(name: str, found: Precision | None, limit: float) -> Check:
    value = None if found is None else found.ap_f
    gap = _explain_none(value, found, NO_IMAGES)
    return Check(name=name, value=value, limit=limit, better="lower", gap=gap)


def _explain_none(value: float | None, found: Precision | None, why: str) -> str:
    """Say why a value is missing: there is no baseline, or `why`; empty if there is a value."""
    return "" if value is not None else _NO_BASELINE if found is None else why
