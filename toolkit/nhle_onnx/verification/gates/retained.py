"""The gate on the retained classes: what they lost."""

from collections.abc import Sequence

from nhle_onnx.hints import hint
from nhle_onnx.text import format_percent
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.settings.gates import Limits
from nhle_onnx.values.verdict import Check, Evidence
from nhle_onnx.verification.gates.terms import NO_BASELINE, Counted, Terms
from nhle_onnx.verification.intervals import describe_change


def judge_retained(terms: Terms, counted: Counted) -> list[Check]:
    """Judge what the retained classes lost."""
    limits, retained = terms.limits, terms.request.retained
    value, evidence, gap = None, None, _explain_unjudged(terms, counted.after)
    if counted.before is None:
        gap = gap or NO_BASELINE
    elif any(counted.after.total[index] for index in retained):
        value, evidence = _measure_change(counted.before, counted.after, retained)
        gap = gap or explain_lost(limits, evidence)
    return [
        Check(
            name="delta_acc_r",
            value=value,
            limit=-limits.max_acc_r_drop,
            better="higher",
            evidence=evidence,
            gap=gap,
        )
    ]


def _measure_change(
    before: ClassCounts, after: ClassCounts, retained: Sequence[int]
) -> tuple[float, Evidence]:
    """Return the change of accuracy on the retained classes, with what shows it."""
    count = sum(after.total[index] for index in retained)
    was, now = (sum(each.correct[index] for index in retained) / count for each in (before, after))
    distinct = sum(after.count_distinct(index)[1] for index in retained)
    return now - was, describe_change(was, now, distinct)


def explain_lost(limits: Limits, evidence: Evidence, samples: str = "images") -> str:
    """Explain why the samples of retained classes are not enough; empty if they are."""
    if evidence.bound >= -limits.max_acc_r_drop - limits.max_uncertainty:
        return ""
    return hint(
        f"{evidence.images} {samples} of retained classes cannot rule out that "
        f"{format_percent(-evidence.bound, 1)} of them are lost: give {{data}} with more, or a "
        "larger {max_uncertainty}"
    )


def _explain_unjudged(terms: Terms, counts: ClassCounts) -> str:
    """Name retained classes without an image, if they are more than may stay unknown."""
    unjudged, is_allowed = terms.list_unjudged(counts)
    if is_allowed:
        return ""
    return hint(
        f"{len(unjudged)} of {len(terms.request.retained)} retained classes have no image to "
        "judge by ({names}): give {data} with images of them",
        names=terms.list_names(unjudged),
    )
