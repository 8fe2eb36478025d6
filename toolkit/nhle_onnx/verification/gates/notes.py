"""Notes on what counts can show, beside the gates."""

from nhle_onnx.text import format_percent
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.verification.gates.terms import Counted, Terms, join_first
from nhle_onnx.verification.intervals import bound_share, describe_change

_WIDE = 0.05  # a bound further above the value than this is noted


def describe_evidence(terms: Terms, counted: Counted) -> tuple[str, ...]:
    """Note classes that were not known before, that lost much, and those with few images."""
    notes = []
    if counted.before is not None:
        notes += _describe_unknown(terms, counted.before)
        notes += _describe_lost(terms, counted.before, counted.after)
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


def _describe_lost(terms: Terms, before: ClassCounts, after: ClassCounts) -> list[str]:
    """Note retained classes that surely lost more than all of them together may: among many others,
    the loss of a whole class hardly shows.
    """
    changes = {
        index: (before.correct[index] / count, after.correct[index] / count)
        for index in terms.request.retained
        if (count := after.total[index])
    }
    lost = [
        f"{terms.name(index)} ({was:.2f} → {now:.2f})"
        for index, (was, now) in sorted(changes.items(), key=lambda each: each[1][1] - each[1][0])
        if _is_lost(terms, was, now, after.count_distinct(index)[1])
    ]
    if not lost:
        return []
    classes = "1 retained class" if len(lost) == 1 else f"{len(lost)} retained classes"
    return [
        f"{classes} lost more than all of them together may (95 % confidence): {join_first(lost)}"
    ]


def _is_lost(terms: Terms, was: float, now: float, images: int) -> bool:
    return describe_change(was, now, images).interval[1] < -terms.limits.max_acc_r_drop
