"""The verdict in sentences that need no knowledge of machine learning."""

from collections.abc import Sequence

from nhle_onnx.release.meaning import explain_verdict
from nhle_onnx.release.page.elements import Verdict
from nhle_onnx.release.page.explanations import name_check
from nhle_onnx.release.page.figures import (
    format_of_check,
    format_plain,
    format_share,
)
from nhle_onnx.text import name_forgotten
from nhle_onnx.values.audit import Measure
from nhle_onnx.values.detection import DetectionReport, DetectionVerifyReport, Precision
from nhle_onnx.values.detection_audit import AnyAudit
from nhle_onnx.values.fleet import FleetReport
from nhle_onnx.values.report import Accuracy, UnlearnReport, Unmasked, VerifyReport
from nhle_onnx.values.verdict import Check
from nhle_onnx.values.verdict import Verdict as Outcome

_UNLEARN_ONLY = (
    "This page shows what unlearn measured. nhle-onnx audit attacks the model further: it trains "
    "new heads on its features, relearns the class, and compares it with a model that was "
    "retrained without the class, where there is one."
)

_UNMASKED: dict[Outcome, str] = {
    "passed": "even so, the class is no longer found, so it is not only hidden in the output",
    "failed": "the features still hold the class, and putting that head back brings it back",
    "not-judged": "these images cannot tell whether the class is gone from the features",
}


def judge_audit(report: AnyAudit) -> Verdict:
    """Whether the attacks found more than they may, and how far that carries."""
    names = name_forgotten(report.labels, report.forget)
    passed = f"no attack of this audit found more of {names} in the edited model than allowed"
    return _conclude(report, passed, ())


def judge_unlearning(report: UnlearnReport) -> Verdict:
    """Whether the edit meets its limits, and what was not looked at."""
    names = name_forgotten(report.labels, report.forget)
    explanation = (
        _compare_accuracy(report.before, report.after, report.samples.eval, names),
        _explain_unmasking(report.checks, report.unmasked),
        _UNLEARN_ONLY,
    )
    passed = f"the edited model meets every limit that was set for forgetting {names}"
    return _conclude(report, passed, explanation)


def judge_verification(report: VerifyReport) -> Verdict:
    """Whether the model meets its limits on these images."""
    names = name_forgotten(report.labels, report.forget)
    unmasked = _explain_unmasking(report.checks, report.unmasked)
    explanation = (
        _compare_accuracy(report.before, report.after, report.samples, names),
        *((unmasked,) if report.unmasked else ()),
    )
    passed = f"the model meets every limit that was set for forgetting {names}"
    return _conclude(report, passed, explanation)


def judge_detection(report: DetectionReport | DetectionVerifyReport) -> Verdict:
    """Whether a detector meets its limits, and what it detects with its channels put back."""
    names = name_forgotten(report.labels, report.forget)
    explanation = [_compare_precision(report.before, report.after, names)]
    if report.unmasked:
        explanation.append(
            "With the original class channels put back, the average precision of the class is "
            f"{format_plain(report.unmasked.ap_f)}: what the features still hold of it."
        )
    passed = f"the detector meets every limit that was set for forgetting {names}"
    return _conclude(report, passed, tuple(explanation))


def _compare_precision(before: Precision | None, after: Precision, names: str) -> str:
    def say(old: float | None, new: float | None) -> str:
        start = "is" if before is None else f"went from {format_plain(old)} to"
        return f"{start} {format_plain(new)}"

    own = say(before.ap_f if before else None, after.ap_f)
    others = say(before.map_r if before else None, after.map_r)
    return (
        f"Of {after.objects:,} objects of {names}, {after.detected:,} are still detected. Its "
        f"average precision {own}; the mean of the other classes {others}."
    )


def judge_fleet(report: FleetReport) -> Verdict:
    """Return how many jobs passed, and how the others ended."""
    counts = ", ".join(f"{count:,} {status}" for status, count in sorted(report.counts.items()))
    total = len(report.jobs)
    passed = report.counts.get("passed", 0)
    word = {"passed": "Passed", "failed": "Failed", "not-judged": "Not judged"}[report.verdict]
    ending = " The run was interrupted; another run does the rest." if report.interrupted else ""
    return Verdict(
        outcome=report.verdict,
        sentence=f"{word}: {passed:,} of {total:,} jobs passed.{ending}",
        explanation=(f"Jobs by how they ended: {counts or 'none'}.",),
    )


def _conclude(
    report: UnlearnReport | VerifyReport | DetectionReport | DetectionVerifyReport | AnyAudit,
    passed: str,
    explanation: tuple[str, ...],
) -> Verdict:
    """Return the verdict in a sentence; `passed` says what holds where every gate passed."""
    names = name_forgotten(report.labels, report.forget)
    if report.verdict == "passed":
        sentence = f"Passed: {passed}; {explain_verdict(report)}."
    elif report.verdict == "failed":
        failed = [check for check in report.checks if check.verdict == "failed"]
        sentence = (
            f"Failed: {len(failed)} of {len(report.checks)} checks did not hold. The edited model "
            f"must not be taken for one that has forgotten {names}."
        )
        measures = report.measures if isinstance(report, AnyAudit) else ()
        explanation = (*(_tell_failed(check, measures) for check in failed), *explanation)
    else:
        open_checks = [check for check in report.checks if check.verdict == "not-judged"]
        sentence = (
            f"Not judged: no check failed, but {len(open_checks)} of {len(report.checks)} could "
            f"not be judged well enough to say that {names} is forgotten. What would close each "
            "gap is listed with the checks."
        )
    return Verdict(outcome=report.verdict, sentence=sentence, explanation=explanation)


def _compare_accuracy(before: Accuracy | None, after: Accuracy, images: int, names: str) -> str:
    others = "No image was of any other class."
    if after.acc_r is not None:
        change = _say_change(before.acc_r if before else None, after.acc_r)
        others = f"On the other classes {change}."
    if after.acc_f is None:
        return f"Judged on {images:,} images, none of them of {names}. {others}"
    change = _say_change(before.acc_f if before else None, after.acc_f)
    return f"Judged on {images:,} images: on {names} {change}. {others}"


def _say_change(before: float | None, after: float) -> str:
    if before is None:
        return f"the accuracy is {format_share(after)}"
    return f"the accuracy went from {format_share(before)} to {format_share(after)}"


def _explain_unmasking(checks: Sequence[Check], unmasked: Unmasked | None) -> str:
    check = next((check for check in checks if check.name == "unmasked.acc_f"), None)
    if check is None or check.value is None:
        found = format_share(unmasked.acc_f) if unmasked else "an unknown part"
        return (
            "Whether the class is gone from the features, or only hidden in the output, was not "
            f"judged. With the original head put back, {found} of its images are recognised."
        )
    meaning = _UNMASKED[check.verdict]
    return (
        f"With the original head put back, {format_of_check(check, check.value)} of its images "
        f"are recognised: {meaning}."
    )


def _tell_failed(check: Check, measures: Sequence[Measure]) -> str:
    asked = "at most" if check.better == "lower" else "at least"
    value, limit = (format_of_check(check, figure) for figure in (check.value, check.limit))
    name = name_check(check.name, measures)
    return f"{name}{'' if name.endswith('?') else ':'} {value}, where {asked} {limit} is asked for."
