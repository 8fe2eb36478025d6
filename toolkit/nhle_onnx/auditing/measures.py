"""The figures of one attack on every model, and where the edited one stands between them."""

from collections.abc import Callable, Mapping

from nhle_onnx.auditing.context import AuditContext, Target
from nhle_onnx.auditing.placement import RESOLUTION, place
from nhle_onnx.values.audit import Measure, Role


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
) -> Measure:
    """Make a measure of these figures; unless `places` is false, place the edited model."""
    original, edited, reference = (
        values.get("original"), values.get("edited"), values.get("reference")
    )  # fmt: skip
    position = place(original, edited, reference, resolution=resolution) if places else None
    return Measure(
        attack=attack,
        name=f"{attack}.{name}",
        title=title,
        original=original,
        edited=edited,
        reference=reference,
        position=position,
    )
