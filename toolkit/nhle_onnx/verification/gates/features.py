"""The gate on the features: how much of the class the original's head still finds in them."""

from dataclasses import replace

from nhle_onnx.values.verdict import Check
from nhle_onnx.verification.accuracy import compute_accuracy
from nhle_onnx.verification.gates.forgotten import judge_classes
from nhle_onnx.verification.gates.terms import NO_BASELINE, Counted, Terms

FITS = 0.5  # of the retained accuracy: what the original's head must keep to say anything


def judge_features(terms: Terms, counted: Counted) -> list[Check]:
    """Judge how much of the class the model recognises with the original's head."""
    if not counted.judges_features:
        return []
    limit = terms.limits.max_unmasked_acc_f
    if counted.unmasked is None:
        gap = counted.misfit or NO_BASELINE
        return [Check(name="unmasked.acc_f", value=None, limit=limit, better="lower", gap=gap)]
    checks = judge_classes(terms, "unmasked.acc_f", counted.unmasked, limit)
    kept, known = (
        compute_accuracy(counts, terms.request).acc_r or 0.0
        for counts in (counted.unmasked, counted.before or counted.after)
    )
    if kept >= FITS * known:
        return checks
    gap = (
        f"with the original's head only {kept:.3f} of the retained images are recognised, so "
        "that head does not fit these features and shows nothing: run an audit, which makes "
        "one that does"
    )
    first, *others = checks
    return [replace(first, gap=gap), *others]
