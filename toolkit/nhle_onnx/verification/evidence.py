"""Whether figures are evidence: did the model know the class, does it tell classes apart, and are
there samples enough to say so?

A model that never knew a class has not forgotten it, and one that answers everything with the same
class recognises no other. Accuracies alone would pass both.
"""

from collections.abc import Sequence

import numpy as np

from nhle_onnx.hints import hint
from nhle_onnx.values.report import Accuracy, Check
from nhle_onnx.values.request import ForgetRequest

CONFIDENCE = 0.95
MIN_SKILL = 0.05
_NO_BASELINE = hint(
    "without {baseline} nothing shows that the model ever knew the class, so this is no evidence "
    "that it was forgotten: only that it is not recognised now"
)
_WIDE = 0.05  # a bound above this is said


def judge_evidence(
    before: Accuracy | None, after: Accuracy, totals: Sequence[int], request: ForgetRequest
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """Checks and notes on what a model's accuracies `after` can show, with those of the model that
    it was made from where there is one. `totals` [K] are the samples of each class.
    """
    bounds = describe_bounds(after, totals, request)
    if before is None:
        retained = [after.per_class[index] for index in request.retained]
        return judge_skill("skill_after", retained), (_NO_BASELINE, *bounds)
    checks = (
        *judge_knowledge(before, after, totals, request),
        *judge_skill("skill_before", before.per_class),
    )
    return checks, (*describe_before(before, request), *bounds)


def bound_accuracy(accuracy: float, count: int) -> float:
    """The upper end of the exact one-sided 95 % interval (Clopper and Pearson) of an accuracy
    measured on `count` samples; near 3 / count where it is 0.
    """
    # scipy takes a while to import, and only judging needs it
    from scipy.special import betaincinv  # noqa: PLC0415

    hits = round(accuracy * count)
    return 1.0 if hits >= count else float(betaincinv(hits + 1, count - hits, CONFIDENCE))


def measure_skill(per_class: Sequence[float | None]) -> float | None:
    """How well a model tells classes apart: 1 where it is always right, 0 where it answers all
    samples with one class or by chance; None where samples of fewer than two classes say so.
    """
    known = [value for value in per_class if value is not None]
    if len(known) < 2:  # noqa: PLR2004 - as the docstring says
        return None
    chance = 1 / len(known)
    return float((np.mean(known) - chance) / (1 - chance))


def judge_skill(name: str, per_class: Sequence[float | None]) -> tuple[Check, ...]:
    """A check that a model tells classes apart at all."""
    skill = measure_skill(per_class)
    if skill is None:
        return ()
    return (Check(name=name, value=skill, limit=MIN_SKILL, better="higher"),)


def judge_knowledge(
    before: Accuracy, after: Accuracy, totals: Sequence[int], request: ForgetRequest
) -> tuple[Check, ...]:
    """A check that each forgotten class was recognised before, beyond guessing and beyond what may
    be left of it; of several classes, the one that is nearest to failing.

    `totals` [K] are the samples of each class.
    """
    checks = [
        Check(
            name="known_before",
            value=known,
            limit=max(1 / request.num_classes, bound_accuracy(left, totals[index])),
            better="higher",
        )
        for index in request.forget
        if (known := before.per_class[index]) is not None
        and (left := after.per_class[index]) is not None
    ]
    return tuple(sorted(checks, key=lambda check: check.value - check.limit)[:1])


def describe_before(before: Accuracy, request: ForgetRequest) -> tuple[str, ...]:
    """A note for each forgotten class that the model did not know to begin with."""
    return tuple(
        f"the model did not know class {index} to begin with on these samples: it gets {known:.3f} "
        "of them right, no more than guessing would, so a low Acc_F is no evidence of forgetting; "
        "check the labels and the preprocessing"
        for index in request.forget
        if (known := before.per_class[index]) is not None and known < 1 / request.num_classes
    )


def describe_bounds(
    after: Accuracy, totals: Sequence[int], request: ForgetRequest
) -> tuple[str, ...]:
    """A note for each forgotten class that few samples judge, and for each that none does."""
    notes = []
    for index in request.forget:
        left, count = after.per_class[index], totals[index]
        if left is None:
            notes.append(f"class {index} was not judged: there is no evaluation sample of it")
        elif (bound := bound_accuracy(left, count)) - left > _WIDE:
            samples = "1 sample judges" if count == 1 else f"{count} samples judge"
            notes.append(
                f"{samples} class {index}: with 95 % confidence less than {bound:.3f} of it is "
                "still recognised, and no less can be said of so few"
            )
    return tuple(notes)
