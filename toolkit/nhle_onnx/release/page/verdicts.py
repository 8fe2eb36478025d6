"""The verdict in sentences that need no knowledge of machine learning."""

from collections.abc import Sequence
from statistics import median

from nhle_onnx.release.meaning import explain_verdict
from nhle_onnx.release.page.elements import Verdict
from nhle_onnx.release.page.explanations import name_check
from nhle_onnx.release.page.figures import (
    format_of_check,
    format_of_measure,
    format_plain,
    format_position,
    format_share,
)
from nhle_onnx.text import name_forgotten
from nhle_onnx.values.audit import AuditReport, Measure
from nhle_onnx.values.detection import DetectionReport, DetectionVerifyReport, Precision
from nhle_onnx.values.fleet import FleetReport
from nhle_onnx.values.report import Accuracy, UnlearnReport, Unmasked, VerifyReport
from nhle_onnx.values.verdict import Check
from nhle_onnx.values.verdict import Verdict as Outcome

_NO_REFERENCE = (
    "No retrained model was given for comparison. So the figures show how the edited model differs "
    "from the original. They cannot show whether it is like a model that never saw the class, and "
    "it cannot be concluded that the class is erased: any model may recover some of a class that "
    "resembles others."
)
_SHADOWS = (
    "No retrained model was given for comparison. Small networks that never saw the class, its "
    "shadows, stand in for one. What they show of the class, any network would show. Where the "
    "edited model shows more, it cannot be concluded whether a retrained model would, as that is "
    "stronger than they are. How fast a retrained model would relearn the class, they cannot tell."
)
_UNLEARN_ONLY = (
    "This page shows what unlearn measured. nhle-onnx audit attacks the model further: it trains "
    "new heads on its features, relearns the class, and compares it with a model that was "
    "retrained without the class, where there is one."
)

# what the best attacks found, by the name of the figure
_TOLD = {
    "unmasking.original_head": "With the original head put back, {} of the forgotten images are "
    "recognised",
    "unmasking.rebuilt_row": "With the head's row computed again from a few images, {} of them are "
    "recognised",
    "probe.recall": "A new head, trained on the features with images of every class, finds {} of "
    "them",
    "relearning.steps": "Trained on the class again, the model needs {} steps to know it as before",
}
_LEADS: dict[Outcome, str] = {
    "passed": "No attack brought back more of it than is allowed.",
    "failed": "Yes, more of it than is allowed.",
    "not-judged": "No attack brought back more of it than is allowed, as far as that could be "
    "judged.",
}
_UNMASKED: dict[Outcome, str] = {
    "passed": "even so, the class is no longer found, so it is not only hidden in the output",
    "failed": "the features still hold the class, and putting that head back brings it back",
    "not-judged": "these images cannot tell whether the class is gone from the features",
}


def judge_audit(report: AuditReport) -> Verdict:
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
    """How many jobs passed, and how the others ended."""
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
    report: UnlearnReport | AuditReport | VerifyReport | DetectionReport | DetectionVerifyReport,
    passed: str,
    explanation: tuple[str, ...],
) -> Verdict:
    """The verdict in a sentence; `passed` says what holds where every gate passed."""
    names = name_forgotten(report.labels, report.forget)
    if report.verdict == "passed":
        sentence = f"Passed: {passed}; {explain_verdict(report)}."
    elif report.verdict == "failed":
        failed = [check for check in report.checks if check.verdict == "failed"]
        sentence = (
            f"Failed: {len(failed)} of {len(report.checks)} checks did not hold. The edited model "
            f"must not be taken for one that has forgotten {names}."
        )
        measures = report.measures if isinstance(report, AuditReport) else ()
        explanation = (*(_tell_failed(check, measures) for check in failed), *explanation)
    else:
        open_checks = [check for check in report.checks if check.verdict == "not-judged"]
        sentence = (
            f"Not judged: no check failed, but {len(open_checks)} of {len(report.checks)} could "
            f"not be judged well enough to say that {names} is forgotten. What would close each "
            "gap is listed with the checks."
        )
    return Verdict(outcome=report.verdict, sentence=sentence, explanation=explanation)


def answer_attacks(report: AuditReport) -> tuple[str, ...]:
    """Whether the class can be brought back, in the order of the attacks that show it best."""
    found = {measure.name: measure for measure in report.measures}
    lead = _LEADS[report.verdict] if report.measures else "No attack could run."
    told = (_tell(found.get(name), text) for name, text in _TOLD.items())
    return (lead, *(sentence for sentence in told if sentence))


def _tell(measure: Measure | None, text: str) -> str:
    if measure is None or measure.edited is None:
        return ""
    others = {"the original": measure.original, "the retrained model": measure.reference}
    compared = " and ".join(
        f"{format_of_measure(measure, figure)} for {name}"
        for name, figure in others.items()
        if figure is not None
    )
    figure = format_of_measure(measure, measure.edited)
    told = f"{text.format(figure)}{f', against {compared}' if compared else ''}."
    return told.replace(">", "more than")


def explain_attacks(report: AuditReport) -> tuple[str, ...]:
    """How many attacks there were, on what, and how many could not run."""
    attacks = tuple(dict.fromkeys(measure.attack for measure in report.measures))
    attacked = (
        f"{len(attacks)} kinds of attack ({', '.join(attacks) or 'none could run'}) were made on "
        f"{report.model.path}, which was made from {report.baseline.path}. The attacker had "
        f"{report.samples.attack:,} images, and {report.samples.judge:,} others judged the results."
    )
    skipped = f"Attacks that could not run: {len(report.skipped)}. What they would find is unknown."
    return (attacked, skipped if report.skipped else "Every attack ran.")


def compare_with_retrained(report: AuditReport) -> str:
    """How close the edited model is to the reference, or what its lack means."""
    if report.reference is None:
        return _compare_with_shadows(report.measures) or _NO_REFERENCE
    positions = [each.position for each in report.measures if each.position is not None]
    if not positions:
        return (
            f"No measure tells the original from {report.reference.path}, which never saw the "
            "class, so how close the edited model comes to it cannot be concluded."
        )
    low, middle, high = map(format_position, (min(positions), median(positions), max(positions)))
    return (
        f"On a scale from the original model (0) to {report.reference.path}, which never saw the "
        f"class (1), the {len(positions)} measures that tell the two apart put the edited model "
        f"between {low} and {high}; the median is {middle}."
    )


def _compare_with_shadows(measures: Sequence[Measure]) -> str:
    """What shadow networks show of the class, if any were trained."""
    told = [
        f"{measure.title}: {format_of_measure(measure, measure.edited)} for the edited model, "
        f"{format_of_measure(measure, min(measure.shadows))} to "
        f"{format_of_measure(measure, max(measure.shadows))} for the shadows"
        for measure in measures
        if measure.shadows
    ]
    return f"{_SHADOWS} {'; '.join(told)}." if told else ""


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
