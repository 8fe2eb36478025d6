"""What the attacks of an audit show, in sentences that need no knowledge of machine learning."""

from collections.abc import Sequence
from statistics import median

from nhle_onnx.release.page.figures import format_of_measure, format_position
from nhle_onnx.values.audit import Measure
from nhle_onnx.values.detection_audit import AnyAudit
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
    "edited model shows more, it cannot be concluded whether a retrained model would show as much: "
    "it is stronger than they are. Nor can they tell how fast it would relearn the class."
)

# what the best attacks found, by the name of the figure
_TOLD = {
    "unmasking.original_head": "With the original head put back, {} of the forgotten images are "
    "recognised",
    "unmasking.rebuilt_row": "With the head's row computed again from a few images, {} of them are "
    "recognised",
    "probe.recall": "A new head, trained on the features with images of every class, finds {} of "
    "them",
    "unmasking.ap_f": "With the original's class channels put back, the average precision of the "
    "class is {}",
    "rebuilding.ap_f": "With new class channels, fitted to half of the images, it is {}",
    "probe.balanced_accuracy": "A linear probe tells locations that show the class from others "
    "with a balanced accuracy of {}",
    "relearning.steps_to_80": "Trained on the class again, the detector needs {} steps until 80 % "
    "of the original's average precision is back",
    "relearning.mean_ap_f": "Trained on the class again, the mean of its average precision over "
    "all steps is {}",
    "relearning.steps": "Trained on the class again, the model needs {} steps to know it as before",
}
_LEADS: dict[Outcome, str] = {
    "passed": "No attack brought back more of it than is allowed.",
    "failed": "Yes, more of it than is allowed.",
    "not-judged": "No attack brought back more of it than is allowed, as far as that could be "
    "judged.",
}


def answer_attacks(report: AnyAudit) -> tuple[str, ...]:
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


def explain_attacks(report: AnyAudit) -> tuple[str, ...]:
    """Say how many attacks there were, on what, and how many could not run."""
    attacks = tuple(dict.fromkeys(measure.attack for measure in report.measures))
    attacked = (
        f"{len(attacks)} kinds of attack ({', '.join(attacks) or 'none could run'}) were made on "
        f"{report.model.path}, which was made from {report.baseline.path}. The attacker had "
        f"{report.samples.attack:,} images, and {report.samples.judge:,} others judged the results."
    )
    skipped = f"Attacks that could not run: {len(report.skipped)}. What they would find is unknown."
    return (attacked, skipped if report.skipped else "Every attack ran.")


def compare_with_retrained(report: AnyAudit) -> str:
    """Return how close the edited model is to the reference, or what its lack means."""
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
    """Return what shadow networks show of the class, if any were trained."""
    told = [
        f"{measure.title}: {format_of_measure(measure, measure.edited)} for the edited model, "
        f"{format_of_measure(measure, min(measure.shadows))} to "
        f"{format_of_measure(measure, max(measure.shadows))} for the shadows"
        for measure in measures
        if measure.shadows
    ]
    return f"{_SHADOWS} {'; '.join(told)}." if told else ""
