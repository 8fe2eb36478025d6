"""The gates on the model before: whether it knew the class, and tells classes apart at all."""

from collections.abc import Sequence

from nhle_onnx.hints import hint
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.verdict import Check
from nhle_onnx.verification.accuracy import compute_accuracy
from nhle_onnx.verification.gates.terms import NO_BASELINE, Counted, Terms
from nhle_onnx.verification.intervals import bound_share, describe_share
from nhle_onnx.verification.skill import MIN_SKILL, measure_skill


def judge_knowledge(terms: Terms, counted: Counted) -> list[Check]:
    """Judge whether the model knew the class before, and tells classes apart at all."""
    if counted.before is None:
        after = compute_accuracy(counted.after, terms.request)
        retained = [after.per_class[index] for index in terms.request.retained]
        return [
            Check(
                name="known_before",
                value=None,
                limit=1 / terms.request.num_classes,
                better="higher",
                gap=NO_BASELINE,
            ),
            _judge_skill("skill_after", retained),
        ]
    before = compute_accuracy(counted.before, terms.request)
    known = [
        _judge_known(terms, index, counted.before, counted.after)
        for index in terms.request.forget
        if counted.before.total[index]
    ]
    known.sort(key=lambda check: (check.value or 0.0) - check.limit)
    return [*known[:1], _judge_skill("skill_before", before.per_class)]


def _judge_known(terms: Terms, index: int, before: ClassCounts, after: ClassCounts) -> Check:
    """Judge whether more of a class was recognised than by guessing, or than may be left."""
    limit = max(1 / terms.request.num_classes, bound_share(*after.count_distinct(index)))
    evidence = describe_share(*before.count_distinct(index), is_bad_high=False)
    gap = ""
    if evidence.bound < limit:
        gap = hint(
            f"{evidence.images} images of {{name}} cannot tell what was known of it before "
            "from what may be left: give {data} with more",
            name=terms.name(index),
        )
    return Check(
        name="known_before",
        value=before.correct[index] / before.total[index],
        limit=limit,
        better="higher",
        evidence=evidence,
        gap=gap,
    )


def _judge_skill(name: str, per_class: Sequence[float | None]) -> Check:
    skill = measure_skill(per_class)
    gap = ""
    if skill is None:
        gap = hint(
            "images of fewer than two classes cannot show that the model tells classes apart: "
            "give {data} with images of others"
        )
    return Check(name=name, value=skill, limit=MIN_SKILL, better="higher", gap=gap)
