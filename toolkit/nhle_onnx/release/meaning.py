"""What a verdict means, in one sentence for the terminal and the pages."""

from nhle_onnx.text import format_percent, name_forgotten
from nhle_onnx.values.audit import AuditReport
from nhle_onnx.values.detection import DetectionReport, DetectionVerifyReport
from nhle_onnx.values.detection_audit import DetectionAuditReport
from nhle_onnx.values.kit import DeviceReport, KitReport
from nhle_onnx.values.report import UnlearnReport, VerifyReport
from nhle_onnx.values.verdict import Check

Report = (
    UnlearnReport
    | VerifyReport
    | AuditReport
    | KitReport
    | DeviceReport
    | DetectionReport
    | DetectionVerifyReport
    | DetectionAuditReport
)

# what may still happen to the class's images or objects, by the check of it
_BOUNDED = {
    "after.acc_f": ("recognised", "images"),
    "acc_f": ("recognised", "images"),
    "after.detected": ("detected", "objects"),
}
_MASKED = "masked, not forgotten: the features still hold the class"


def explain_verdict(report: Report) -> str:
    """Say what was shown, what failed, or what could not be judged."""
    names = name_forgotten(report.labels, report.forget)
    if report.verdict == "failed":
        failed = [check.name for check in report.checks if check.verdict == "failed"]
        return f"{', '.join(failed)} missed {'its limit' if len(failed) == 1 else 'their limits'}"
    if report.verdict == "not-judged":
        return f"no gate failed, but not enough is known to say that {names} is forgotten"
    claim = _state_claim(report.checks, names)
    return f"{_MASKED}; {claim}" if is_masked_only(report) else claim


def is_masked_only(report: Report) -> bool:
    """Whether only the head was to be edited."""
    return (
        isinstance(report, UnlearnReport | DetectionReport) and report.method.get("method") == "cwm"
    )


def _state_claim(checks: tuple[Check, ...], names: str) -> str:
    bounds = filter(None, (describe_bound(check, names) for check in checks))
    return next(bounds, f"every gate passed for {names}")


def describe_bound(check: Check, names: str) -> str:
    """Say how much of a class may still be found; empty where a check says nothing about that."""
    if check.name not in _BOUNDED or check.evidence is None:
        return ""
    found, counted = _BOUNDED[check.name]
    return (
        f"at most {format_percent(check.evidence.bound, 1)} of {names} may still be {found} "
        f"(95 % confidence, {check.evidence.images:,} {counted})"
    )
