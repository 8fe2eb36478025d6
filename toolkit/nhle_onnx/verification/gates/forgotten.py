"""The gate on the forgotten classes: how much of them is still recognised."""

from nhle_onnx.hints import hint
from nhle_onnx.text import format_percent
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.verdict import Check, Evidence
from nhle_onnx.verification.accuracy import compute_accuracy
from nhle_onnx.verification.gates.terms import Counted, Terms
from nhle_onnx.verification.intervals import count_needed, describe_share


def judge_forgotten(terms: Terms, counted: Counted) -> list[Check]:
    """Judge how much of the forgotten classes the model recognises."""
    return judge_classes(terms, "after.acc_f", counted.after, terms.limits.max_acc_f)


def judge_classes(terms: Terms, name: str, counts: ClassCounts, limit: float) -> list[Check]:
    """Judge the accuracy on the forgotten classes; and of the worst of several.

    The evidence is that of the class with the highest bound.
    """
    allowed = limit + terms.limits.max_uncertainty
    shares = {
        index: describe_share(*counts.count_distinct(index))
        for index in terms.request.forget
        if counts.total[index]
    }
    gap = _explain_few(terms, shares, allowed)
    worst = max(shares.values(), key=lambda each: each.bound) if shares else None
    accuracy = compute_accuracy(counts, terms.request)
    main = Check(
        name=name,
        value=accuracy.acc_f,
        limit=limit,
        better="lower",
        evidence=worst,
        gap=gap,
    )
    if len(shares) < 2:  # noqa: PLR2004 - several
        return [main]
    value = max(counts.correct[index] / counts.total[index] for index in shares)
    return [
        main,
        Check(name=f"{name}.worst_class", value=value, limit=allowed, better="lower", gap=gap),
    ]


def _explain_few(terms: Terms, shares: dict[int, Evidence], allowed: float) -> str:
    """Explain why the images of forgotten classes are not enough; empty if they are."""
    missing = [index for index in terms.request.forget if index not in shares]
    if missing:
        return hint(
            "there is no image of {names} to judge by: give {data} with some",
            names=terms.list_names(missing),
        )
    index, share = max(shares.items(), key=lambda item: item[1].bound)
    if share.bound <= allowed:
        return ""
    needed = count_needed(allowed)
    images = "1 test image" if share.images == 1 else f"{share.images} different test images"
    more = f"; about {needed} are enough" if needed > share.images else ""
    return hint(
        f"only {images} of {{name}}: {format_percent(share.bound)} may still be recognised "
        f"(95 % confidence){more}: give {{data}} with more, or a larger {{max_uncertainty}}",
        name=terms.name(index),
    )
