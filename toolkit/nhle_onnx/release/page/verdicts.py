"""The verdict in sentences that need no knowledge of machine learning."""

from collections.abc import Sequence
from statistics import median

from nhle_onnx.release.meaning import explain_verdict
from nhle_onnx.release.page.elements import Verdict
from nhle_onnx.text import format_number, name_class
from nhle_onnx.values.audit import AuditReport
from nhle_onnx.values.report import UnlearnReport
from nhle_onnx.values.verdict import Check
from nhle_onnx.values.verdict import Verdict as Outcome

_NO_REFERENCE = (
    "No retrained model was given for comparison. So the figures show how the edited model differs "
    "from the original. They cannot show whether it is like a model that never saw the class, and "
    "it cannot be concluded that the class is erased: any model may recover some of a class that "
    "resembles others."
)
_UNLEARN_ONLY = (
    "This page shows what unlearn measured. nhle-onnx audit attacks the model further: it trains "
    " new heads on its features, relearns the class, and compares it with a model that was "
    "retrained without the class, where there is one."
)

_UNMASKED: dict[Outcome, str] = {
    "passed": "even with it, the class is no longer found, so it is not only hidden in the output",
    "failed": "the features still hold the class, and putting that layer back brings it back",
    "not-judged": "these images cannot tell whether the class is gone from the features",
}


def judge_audit(report: AuditReport) -> Verdict:
    """Whether the attacks found more than they may, and how far that carries."""
    names = name_forgotten(report.labels, report.forget)
    passed = f"no attack of this audit found more of {names} in the edited model than allowed"
    return _conclude(report, passed, _explain_audit(report))


def judge_unlearning(report: UnlearnReport) -> Verdict:
    """Whether the edit meets its limits, and what was not looked at."""
    names = name_forgotten(report.labels, report.forget)
    explanation = (_compare_accuracy(report, names), _explain_unmasking(report), _UNLEARN_ONLY)
    passed = f"the edited model meets every limit that was set for forgetting {names}"
    return _conclude(report, passed, explanation)


def _conclude(
    report: UnlearnReport | AuditReport, passed: str, explanation: tuple[str, ...]
) -> Verdict:
    """The verdict in a sentence; `passed` says what holds where every gate passed."""
    names = name_forgotten(report.labels, report.forget)
    if report.verdict == "passed":
        sentence = f"Passed: {passed}; {explain_verdict(report)}."
    elif report.verdict == "failed":
        sentence = (
            f"Failed: {_list_failed(report.checks)}. The edited model must not be taken for one "
            f"that has forgotten {names}."
        )
    else:
        open_checks = [check for check in report.checks if check.verdict == "not-judged"]
        sentence = (
            f"Not judged: no check failed, but {len(open_checks)} of {len(report.checks)} could "
            f"not be made well enough to say that {names} is forgotten. What is missing stands "
            "under the checks."
        )
    return Verdict(outcome=report.verdict, sentence=sentence, explanation=explanation)


def name_forgotten(labels: Sequence[str], forget: Sequence[int]) -> str:
    """The forgotten classes by index and label."""
    return ", ".join(name_class(index, labels[index]) for index in forget)


def _explain_audit(report: AuditReport) -> tuple[str, ...]:
    attacks = tuple(dict.fromkeys(measure.attack for measure in report.measures))
    attacked = (
        f"Attacked was {report.model.path}, which was made from {report.baseline.path}, in "
        f"{len(attacks)} ways ({', '.join(attacks) or 'none could run'}), and judged by "
        f"{report.samples.judge} samples."
    )
    skipped = f"Attacks that could not run: {len(report.skipped)}. What they would find is unknown."
    return (attacked, _compare(report), *((skipped,) if report.skipped else ()))


def _compare(report: AuditReport) -> str:
    """How close the edited model is to the reference, or what its lack means."""
    if report.reference is None:
        return _NO_REFERENCE
    positions = [each.position for each in report.measures if each.position is not None]
    if not positions:
        return (
            f"No measure tells the original from {report.reference.path}, which never saw the "
            "class, so how close the edited model comes to it cannot be concluded."
        )
    low, middle, high = map(format_number, (min(positions), median(positions), max(positions)))
    return (
        f"On a scale from the original model (0) to {report.reference.path}, which never saw the "
        f"class (1), the {len(positions)} measures that tell the two apart put the edited model "
        f"between {low} and {high}; the median is {middle}."
    )


def _compare_accuracy(report: UnlearnReport, names: str) -> str:
    before, after = report.before, report.after
    others = "No image was of any other class."
    if after.acc_r is not None:
        others = (
            f"For the other classes it went from {format_number(before.acc_r)} to "
            f"{format_number(after.acc_r)}."
        )
    if after.acc_f is None:
        return f"Judged on {report.samples.eval} samples, none of them of {names}. {others}"
    return (
        f"Judged on {report.samples.eval} samples: accuracy went from "
        f"{format_number(before.acc_f)} to {format_number(after.acc_f)} for {names}. {others}"
    )


def _explain_unmasking(report: UnlearnReport) -> str:
    check = next((check for check in report.checks if check.name == "unmasked.acc_f"), None)
    if check is None or check.value is None:
        return (
            "Whether the class is gone from the features, or only hidden in the output, was not "
            "judged. With the original output layer put back, "
            f"{format_number(report.unmasked.acc_f)} of its samples are recognised."
        )
    meaning = _UNMASKED[check.verdict]
    return (
        f"With the original output layer put back, {format_number(check.value)} of its samples "
        f"are recognised: {meaning}."
    )


def _list_failed(checks: Sequence[Check]) -> str:
    failed = [check.name for check in checks if check.verdict == "failed"]
    return f"{len(failed)} of {len(checks)} checks did not hold ({', '.join(failed)})"
