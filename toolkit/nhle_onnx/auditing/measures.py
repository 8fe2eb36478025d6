"""The figures of one attack on every model, and where the edited one stands between them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import TypeGuard

from nhle_onnx.auditing.context import AuditContext, Target
from nhle_onnx.auditing.placement import RESOLUTION, find_resolution, place
from nhle_onnx.values.audit import Measure
from nhle_onnx.values.outcomes import Role


def measure_each(context: AuditContext, measure: Callable[[Target], float]) -> dict[Role, float]:
    """Measure one figure of each model."""
    return {role: measure(target) for role, target in context.targets.items()}


def make_measure(
    attack: str,
    name: str,
    title: str,
    values: Mapping[Role, float | None],
    *,
    places: bool = True,
    resolution: float = RESOLUTION,
    images: int | None = None,
    cap: float | None = None,
) -> Measure:
    """Make a measure of these figures; unless `places` is false, place the edited model.

    The place is left open where original and reference differ by less than `resolution`, or than
    shares of `images` can show.
    """
    original, edited, reference = (
        values.get("original"), values.get("edited"), values.get("reference")
    )  # fmt: skip
    if images is not None:
        resolution = find_resolution(original, reference, images)
    position = place(original, edited, reference, resolution=resolution) if places else None
    return Measure(
        attack=attack,
        name=f"{attack}.{name}",
        title=title,
        original=original,
        edited=edited,
        reference=reference,
        position=position,
        cap=cap,
    )


def combine_repeats(repeats: Sequence[tuple[Measure, ...]]) -> tuple[Measure, ...]:
    """Return the measures of a repeated attack: medians, and the range of all repeats."""
    return tuple(_combine(each) for each in zip(*repeats, strict=True))


def _combine(repeats: Sequence[Measure]) -> Measure:
    edited = [each.edited for each in repeats if each.edited is not None]
    lows = [each.interval[0] if each.interval else each.edited for each in repeats]
    highs = [each.interval[1] if each.interval else each.edited for each in repeats]
    return replace(
        repeats[0],
        original=_median(each.original for each in repeats),
        edited=_median(each.edited for each in repeats),
        reference=_median(each.reference for each in repeats),
        position=_median(each.position for each in repeats),
        shadows=tuple(map(median, zip(*(each.shadows for each in repeats), strict=True))),
        interval=(
            (min(filter(_is_known, lows)), max(filter(_is_known, highs))) if edited else None
        ),
    )


def _median(values: Iterable[float | None]) -> float | None:
    """Return the median; None if a figure is missing."""
    known = list(values)
    return None if None in known else float(median(filter(_is_known, known)))


def _is_known(value: float | None) -> TypeGuard[float]:
    return value is not None
