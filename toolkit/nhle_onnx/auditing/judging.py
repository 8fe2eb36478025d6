"""The gates: what was found against what must not be found, and what could not be judged."""

from collections.abc import Iterator

from nhle_onnx.auditing.context import AuditContext
from nhle_onnx.auditing.placement import NEARER
from nhle_onnx.hints import hint
from nhle_onnx.values.audit import Measure
from nhle_onnx.values.report import Check
from nhle_onnx.values.settings.gates import Limits

_PLACED = ("unmasking.rebuilt_row", "probe.recall", "relearning.mean_acc_f")
_NO_REFERENCE = hint(
    "no {reference} was given: whether a new head, relearning or membership inference find more "
    "than they would in a model that never saw the class cannot be concluded"
)
_NOT_RETRAINED = (
    "the reference answers to the original's head, so it was not trained from scratch without the "
    "class: positions on the scale mean nothing"
)
_TOO_CLOSE = (
    "{name}: original and reference are too close to tell where the edited model stands between"
)


def judge(
    context: AuditContext, measures: tuple[Measure, ...], limits: Limits, acc_f: float | None
) -> tuple[tuple[str, ...], tuple[Check, ...]]:
    """A note for what could not be judged, and the gates."""
    found = {measure.name: measure for measure in measures}
    checks = [Check(name="acc_f", value=acc_f or 0.0, limit=limits.max_acc_f, better="lower")]
    checks += [
        Check(name=measure.name, value=measure.edited, limit=limit, better="lower")
        for measure, limit in _list_limited(found, limits)
        if measure.edited is not None
    ]
    placed = [found[name] for name in _PLACED if name in found]
    checks += [
        Check(
            name=f"{measure.name}.position", value=measure.position, limit=NEARER, better="higher"
        )
        for measure in placed
        if measure.position is not None
    ]
    if "reference" not in context.targets:
        return (_NO_REFERENCE,), tuple(checks)
    suspect = (_NOT_RETRAINED,) if _has_relative(found) else ()
    close = [measure.name for measure in placed if measure.position is None]
    return (*suspect, *(_TOO_CLOSE.format(name=name) for name in close)), tuple(checks)


def _list_limited(found: dict[str, Measure], limits: Limits) -> Iterator[tuple[Measure, float]]:
    """What must stay below a limit: nothing that a model which never saw the class exceeds."""
    limit = limits.max_unmasked_acc_f
    unmasked = found.get("unmasking.original_head")
    with_head = limit
    if unmasked and not _is_relative(unmasked):
        with_head = max(limit, unmasked.reference or 0.0)
    for name, measure in found.items():
        if name == "unmasking.original_head" or name.endswith(".unmasked"):
            yield measure, with_head
        elif name.startswith("quantization."):
            yield measure, limit


def _has_relative(found: dict[str, Measure]) -> bool:
    return "unmasking.original_head" in found and _is_relative(found["unmasking.original_head"])


def _is_relative(measure: Measure) -> bool:
    """Whether the original's head knows the class on the reference's features as well: features
    that were trained anew never met that head.
    """
    known, found = measure.original or 0.0, measure.reference or 0.0
    return found > known / 2
