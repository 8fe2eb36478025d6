"""What attacks bring back, and where the edited model stands."""

from collections.abc import Mapping, Sequence
from functools import partial

from nhle_onnx.release.page.charts.curves import draw_curves
from nhle_onnx.release.page.charts.rows import draw_attacks, draw_scale
from nhle_onnx.release.page.charts.style import ROLE_NAMES
from nhle_onnx.release.page.elements import Picture
from nhle_onnx.release.page.figures import format_of_measure, format_plain, format_share
from nhle_onnx.release.page.svg import render_svg
from nhle_onnx.values.audit import Measure
from nhle_onnx.values.outcomes import Role

_SHARED_SCALE = ("unmasking", "probe", "membership")  # attacks whose figures are all fractions


def picture_attacks(measures: Sequence[Measure]) -> Picture | None:
    """What the attacks bring back; None where none of them gives a fraction."""
    drawn = [
        measure
        for measure in measures
        if measure.attack in _SHARED_SCALE
        and (measure.original is not None or measure.edited is not None)
    ]
    if not drawn:
        return None
    figures = "; ".join(f"{measure.title}: {_say(measure)}" for measure in drawn)
    title = "What attacks bring back"
    goal = (
        "The edited model's bar should end where the retrained model's mark stands, which is what "
        "an attack finds in a model that never saw the class."
        if any(measure.reference is not None for measure in drawn)
        else "How long the edited model's bar may be, only a retrained model could tell."
    )
    alternative = f"{title}, bars for the original and the edited model. {figures}."
    return Picture(
        title=title,
        svg=render_svg("attacks", alternative, partial(draw_attacks, measures=drawn)),
        alternative=alternative,
        caption=f"{goal} Thin lines are 95 % intervals. For membership, a coin "
        "gets a balanced accuracy of 50 %.",
    )


def picture_curves(curves: Mapping[Role, Sequence[float]]) -> Picture:
    """How fast each model learns the class again."""
    ends = "; ".join(
        f"{ROLE_NAMES[role]} from {format_share(curve[0])} to {format_share(curve[-1])} in "
        f"{len(curve) - 1} steps"
        for role, curve in curves.items()
        if curve
    )
    title = "Learning the class again"
    alternative = f"{title}, accuracy on it after each step: {ends}."
    return Picture(
        title=title,
        svg=render_svg("curves", alternative, partial(draw_curves, curves=curves)),
        alternative=alternative,
        caption="A model that only hides the class relearns it in few steps, as the original does. "
        "One that has lost it needs about as many as a model that was retrained without it.",
    )


def picture_scale(measures: Sequence[Measure]) -> Picture | None:
    """Every measure on the way from the original to the retrained model; None without any."""
    placed = [measure for measure in measures if measure.position is not None]
    if not placed:
        return None
    positions = "; ".join(
        f"{measure.title}: {format_plain(measure.position)}" for measure in placed
    )
    title = "From the original, 0, to the retrained model, 1"
    alternative = f"{title}, a dot for each measure. {positions}."
    return Picture(
        title=title,
        svg=render_svg("scale", alternative, partial(draw_scale, measures=placed)),
        alternative=alternative,
        caption="The nearer to 1, the more the edited model is like one that never saw the class. "
        "Below 0 the edit made things worse; above 1 it went beyond what retraining gives.",
    )


def _say(measure: Measure) -> str:
    figures = {
        "original": measure.original,
        "edited": measure.edited,
        "retrained": measure.reference,
    }
    return ", ".join(
        f"{name} {format_of_measure(measure, figure)}"
        for name, figure in figures.items()
        if figure is not None
    )
