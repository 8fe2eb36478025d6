"""What attacks bring back, and where the edited model stands."""

import re
from collections.abc import Mapping, Sequence
from functools import partial

from nhle_onnx.release.page.charts.curves import draw_curves, draw_layers
from nhle_onnx.release.page.charts.rows import draw_attacks, draw_scale
from nhle_onnx.release.page.charts.style import ROLE_NAMES
from nhle_onnx.release.page.elements import Picture
from nhle_onnx.release.page.figures import format_of_measure, format_position, format_share
from nhle_onnx.release.page.svg import make_picture
from nhle_onnx.values.audit import Measure
from nhle_onnx.values.outcomes import Role

# attacks whose figures are all fractions
_SHARED_SCALE = ("unmasking", "rebuilding", "perturbation", "revival", "probe", "membership")
_SHOTS = re.compile(r"layers\.(\w+)\.recall_(\d+)")
_COIN = " For membership, a coin gets a balanced accuracy of 50 %."


def picture_attacks(measures: Sequence[Measure]) -> Picture | None:
    """Draw what the attacks bring back; None where no attack gives a fraction."""
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
    return make_picture(
        "attacks",
        partial(draw_attacks, measures=drawn),
        title=title,
        alternative=alternative,
        caption=f"{goal} Thin lines are 95 % intervals."
        + (_COIN if any(measure.attack == "membership" for measure in drawn) else ""),
    )


def picture_curves(
    curves: Mapping[Role, Sequence[float]], what: str = "accuracy", label: str = "recognised"
) -> Picture:
    """Draw how fast each model learns the class again."""
    ends = "; ".join(
        f"{ROLE_NAMES[role]} from {format_share(curve[0])} to {format_share(curve[-1])} in "
        f"{len(curve) - 1} steps"
        for role, curve in curves.items()
        if curve
    )
    title = "Learning the class again"
    alternative = f"{title}, {what} on it after each step: {ends}."
    return make_picture(
        "curves",
        partial(draw_curves, curves=curves, label=label),
        title=title,
        alternative=alternative,
        caption="A model that only hides the class relearns it in few steps, as the original does. "
        "One that has lost it needs about as many as a model that was retrained without it.",
    )


def picture_scale(measures: Sequence[Measure]) -> Picture | None:
    """Draw each measure on the way from the original to the retrained model; None without any."""
    placed = [
        measure
        for measure in measures
        if measure.position is not None and measure.attack != "layers"  # of which there are many
    ]
    if not placed:
        return None
    positions = "; ".join(
        f"{measure.title}: {format_position(measure.position)}" for measure in placed
    )
    title = "From the original, 0, to the retrained model, 1"
    alternative = f"{title}, a dot for each measure. {positions}."
    return make_picture(
        "scale",
        partial(draw_scale, measures=placed),
        title=title,
        alternative=alternative,
        caption="The nearer to 1, the more the edited model is like one that never saw the class. "
        "Below 0 the edit made things worse; above 1 it went beyond what retraining gives.",
    )


def picture_layers(measures: Sequence[Measure]) -> Picture | None:
    """Draw how well new heads on late layers recognise the class again; None without any."""
    layers: dict[str, dict[Role, dict[int, float]]] = {}
    for measure in measures:
        found = _SHOTS.fullmatch(measure.name)
        if found:
            _add_recalls(layers.setdefault(found[1], {}), int(found[2]), measure)
    if not layers:
        return None
    named = {name.replace("_", " "): recalls for name, recalls in layers.items()}
    figures = "; ".join(
        f"{name}, {ROLE_NAMES[role]}: {', '.join(map(format_share, recall.values()))}"
        for name, recalls in named.items()
        for role, recall in recalls.items()
    )
    title = "What new heads find in late layers"
    shots = ", ".join(map(str, next(iter(next(iter(named.values())).values()))))
    alternative = f"{title}, recognised after training with {shots} images a class. {figures}."
    return make_picture(
        "layers",
        partial(draw_layers, layers=named),
        title=title,
        alternative=alternative,
        caption="A new head is trained on what each layer reads, with few images of each class. "
        "The edited model's line should lie near the retrained model's. With many images all lines "
        "meet: what tells a class from others can be learned from any good features.",
    )


def _add_recalls(recalls: dict[Role, dict[int, float]], shots: int, measure: Measure) -> None:
    figures: dict[Role, float | None] = {
        "original": measure.original,
        "edited": measure.edited,
        "reference": measure.reference,
    }
    for role, figure in figures.items():
        if figure is not None:
            recalls.setdefault(role, {})[shots] = figure


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
