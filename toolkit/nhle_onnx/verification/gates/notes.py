"""Notes on what counts can show, beside the gates."""

from nhle_onnx.text import format_percent
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.verification.gates.terms import Counted, Terms
from nhle_onnx.verification.intervals import bound_share

_WIDE = 0.05  # a bound further above the value than this is noted


def describe_evidence(terms: Terms, counted: Counted) -> tuple[str, ...]:
    """Note classes that were not known before, and those with few images."""
    notes = [] if counted.before is None else list(_describe_unknown(terms, counted.before))
    notes += _describe_unjudged(terms, counted.after)
    for index in terms.request.forget:
        hits, count = counted.after.count_distinct(index)
        bound = bound_share(hits, count)
        if count and bound - hits / count > _WIDE:
            images = "1 test image" if count == 1 else f"{count} test images"
            notes.append(
                f"only {images} of {terms.name(index)}: at most {format_percent(bound)} may "
                "still be recognised (95 % confidence); add images to tighten this"
            )
    return tuple(notes)


def _describe_unjudged(terms: Terms, counts: ClassCounts) -> list[str]:
    """Note retained classes without an image where the verdict is given all the same."""
    unjudged, is_allowed = terms.list_unjudged(counts)
    note = f"nothing is said of classes without an image to judge by: {terms.list_names(unjudged)}"
    return [note] if unjudged and is_allowed else []


def _describe_unknown(terms: Terms, before: ClassCounts) -> list[str]:
    """Note each forgotten class that the model did not know to begin with."""
    return [
        f"the model did not know class {terms.name(index)} to begin with: it recognises "
        f"{known:.3f} of these images, no more than guessing would, so a low Acc_F is no "
        "evidence of forgetting; check the labels and the preprocessing"
        for index in terms.request.forget
        if before.total[index]
        and (known := before.correct[index] / before.total[index]) < 1 / terms.request.num_classes
    ]
