"""audit, the gates on attacks: what was found against what must not be found."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from nhle_onnx.auditing.context import AuditContext
from nhle_onnx.auditing.placement import NEARER, RESOLUTION
from nhle_onnx.hints import hint
from nhle_onnx.text import format_percent
from nhle_onnx.values.audit import Measure, Skipped
from nhle_onnx.values.settings.gates import Limits
from nhle_onnx.values.verdict import Check
from nhle_onnx.verification.intervals import describe_share

_REBUILT = "unmasking.rebuilt_row"
_PLACED = (_REBUILT, "probe.recall", "relearning.mean_acc_f")
_NO_REFERENCE = hint(
    "without {reference} it cannot be told whether new rows, new heads and relearning find more of "
    "the class than they would in a model that never saw it: give one that was trained without "
    "it, or {shadows=3}, which trains small ones"
)
_SHADOWED = "shadows.rebuilt_row"
_BEYOND_SHADOWS = hint(
    "a rebuilt row finds more of the class than in shadow networks that never saw it, but these "
    "are weaker than a retrained one: give {reference} one that was trained without the class"
)
NOT_RETRAINED = (
    "the reference answers to the original's head, so it was not trained from scratch without the "
    "class: positions on the scale mean nothing"
)
_TOO_CLOSE = (
    "{name}: original and reference are too close, on {images} images, to tell where the edited "
    "model stands between"
)


def judge_attacks(
    context: AuditContext,
    measures: tuple[Measure, ...],
    skipped: tuple[Skipped, ...],
    limits: Limits,
) -> tuple[tuple[str, ...], tuple[Check, ...]]:
    """Return a note for each measure without a position, and the gates."""
    found = {measure.name: measure for measure in measures}
    checks = [
        _limit(measure, limit, context, limits) for measure, limit in _list_limited(found, limits)
    ]
    checks += judge_skipped(skipped)
    if _REBUILT in found:
        shadows = found[_SHADOWED].shadows if _SHADOWED in found else ()
        checks.append(_judge_rebuilt(found[_REBUILT], shadows, context, limits))
    placed = [found[name] for name in _PLACED if name in found]
    checks += judge_positions(placed)
    if "reference" not in context.targets:
        return (), tuple(checks)
    suspect = (NOT_RETRAINED,) if _has_relative(found) else ()
    return (*suspect, *describe_close(placed, int(context.is_judge.sum()))), tuple(checks)


def judge_skipped(skipped: Sequence[Skipped]) -> tuple[Check, ...]:
    """Return a gate that was not judged for each attack that the verdict needs and that could not
    run.
    """
    return tuple(
        Check(name=each.attack, value=None, limit=0.0, better="lower", gap=each.reason)
        for each in skipped
        if each.leaves_gap
    )


def judge_positions(placed: Sequence[Measure]) -> tuple[Check, ...]:
    """Judge which of two models the edited one is nearer to, by each figure that tells."""
    return tuple(
        Check(
            name=f"{measure.name}.position", value=measure.position, limit=NEARER, better="higher"
        )
        for measure in placed
        if measure.position is not None
    )


def describe_close(placed: Sequence[Measure], images: int) -> tuple[str, ...]:
    """Return a note for each figure that cannot tell original and reference apart."""
    close = [measure.name for measure in placed if measure.position is None]
    return tuple(_TOO_CLOSE.format(name=name, images=images) for name in close)


def _limit(measure: Measure, limit: float, context: AuditContext, limits: Limits) -> Check:
    """Check a share of the evaluation images against its limit."""
    count = int(context.is_judge.sum())
    evidence = describe_share(round((measure.edited or 0.0) * count), count)
    gap = ""
    if evidence.bound > limit + limits.max_uncertainty:
        gap = hint(
            f"only {count} test images: {format_percent(evidence.bound)} may still be recognised "
            "(95 % confidence): give {data} with more of the class"
        )
    return Check(
        name=measure.name,
        value=measure.edited,
        limit=limit,
        better="lower",
        evidence=evidence,
        gap=gap,
    )


def _judge_rebuilt(
    measure: Measure, shadows: tuple[float, ...], context: AuditContext, limits: Limits
) -> Check:
    """Judge a row rebuilt from a few samples: it may bring back no more than in a model that never
    saw the class.

    Without such a model, it may bring back no more than in the shadow network where it brings back
    least. These are weaker, so more than that is not judged, and fails only if it is as much as in
    the original. Without shadows, what brings back anything is not judged.
    """
    few = limits.max_unmasked_acc_f
    if measure.reference is not None:
        return _limit(measure, max(few, measure.reference + RESOLUTION), context, limits)
    if shadows and (measure.edited or 0.0) <= min(shadows) + RESOLUTION:
        return _limit(measure, max(few, min(shadows) + RESOLUTION), context, limits)
    original = (measure.original or 0.0) - RESOLUTION
    check = _limit(measure, max(few, original), context, limits)
    is_little = check.evidence is not None and check.evidence.bound <= few + limits.max_uncertainty
    return replace(check, gap="" if is_little else _BEYOND_SHADOWS if shadows else _NO_REFERENCE)


def _list_limited(found: dict[str, Measure], limits: Limits) -> Iterator[tuple[Measure, float]]:
    """List measures with their limits, which a model that never saw the class does not exceed."""
    limit = limits.max_unmasked_acc_f
    unmasked = found.get("unmasking.original_head")
    with_head = limit
    if unmasked and not _is_relative(unmasked):
        with_head = max(limit, unmasked.reference or 0.0)
    for name, measure in found.items():
        if measure.edited is None:
            continue
        if name == "unmasking.original_head" or name.endswith(".unmasked"):
            yield measure, with_head
        elif name.startswith("quantization."):
            yield measure, limit


def _has_relative(found: dict[str, Measure]) -> bool:
    return "unmasking.original_head" in found and _is_relative(found["unmasking.original_head"])


def _is_relative(measure: Measure) -> bool:
    """Whether the original's head recognises the class in the reference's features as well. It
    cannot if these were trained from scratch.
    """
    known, found = measure.original or 0.0, measure.reference or 0.0
    return found > known / 2
