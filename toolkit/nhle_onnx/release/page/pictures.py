"""Pictures of what was measured, each with words for what it shows."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from nhle_onnx.release.page import charts
from nhle_onnx.release.page.charts import ROLE_NAMES
from nhle_onnx.release.page.elements import Picture
from nhle_onnx.release.page.svg import render_svg
from nhle_onnx.text import format_number, name_class
from nhle_onnx.values.audit import AuditReport, Measure, Projection, Role
from nhle_onnx.values.report import Accuracy, TrainingStep

_MOST_ROWS = 24
_LONGEST_LABEL = 50
_SHARED_SCALE = ("unmasking", "probe", "membership")  # attacks whose figures are all fractions


def name_classes(labels: Sequence[str], forget: Sequence[int]) -> tuple[str, ...]:
    """Every class by index and label; forgotten ones say so."""
    names = (name_class(index, label) for index, label in enumerate(labels))
    return tuple(
        f"{name} (forgotten)" if index in forget else name for index, name in enumerate(names)
    )


def picture_accuracy(
    labels: Sequence[str], forget: Sequence[int], accuracies: Mapping[Role, Accuracy]
) -> Picture:
    """Accuracy of each class on each model."""
    values = {role: accuracy.per_class for role, accuracy in accuracies.items()}
    rows = _choose_rows(len(labels), forget, values, _measure_spread)
    names = _name_rows(labels, forget)
    means = "; ".join(
        f"{ROLE_NAMES[role]} {format_number(accuracy.acc_f)} on forgotten and "
        f"{format_number(accuracy.acc_r)} on retained classes"
        for role, accuracy in accuracies.items()
    )
    title = "Accuracy of each class"
    alternative = f"{title}, bars for each model. On average: {means}."
    return Picture(
        title=title,
        svg=render_svg(
            "accuracy",
            alternative,
            partial(
                charts.draw_shares,
                names=[names[row] for row in rows],
                values=_take(values, rows),
                label="share of the class's samples that are answered right",
            ),
        ),
        alternative=alternative,
        caption="The forgotten class should be near 0 on the edited model, every other class as "
        "high as on the original." + _say_left_out(rows, labels, "that changed most"),
    )


def picture_flows(report: AuditReport) -> Picture:
    """Which classes the forgotten samples are taken for."""
    names = _name_rows(report.labels, report.forget)
    rows = _choose_rows(len(names), report.forget, report.flows, max)
    first = "; ".join(
        f"{ROLE_NAMES[role]} most often {names[top]} ({format_number(shares[top])})"
        for role, shares in report.flows.items()
        for top in (max(range(len(names)), key=lambda row: _at(shares, row) or 0.0),)
    )
    title = "Where forgotten samples go"
    alternative = f"{title}, bars for each class and model: {first}."
    return Picture(
        title=title,
        svg=render_svg(
            "flows",
            alternative,
            partial(
                charts.draw_shares,
                names=[names[row] for row in rows],
                values=_take(report.flows, rows),
                label="share of the forgotten class's samples that get this answer",
            ),
        ),
        alternative=alternative,
        caption="A model that never saw the class spreads its samples over the classes that look "
        "alike. A single class that takes them all is a trace of the edit."
        + _say_left_out(rows, names, "that get most"),
    )


def picture_projection(report: AuditReport, projection: Projection) -> Picture:
    """Features of the judging samples in two dimensions."""
    names = [name_class(index, label) for index, label in enumerate(report.labels)]
    forgotten = ", ".join(names[index] for index in report.forget)
    roles = ", ".join(ROLE_NAMES[role] for role in projection.points)
    title = "Features in two dimensions"
    alternative = (
        f"{title}: {len(projection.classes)} samples as points, a panel for each model ({roles}); "
        f"those of {forgotten} are coloured, the others grey."
    )
    draw = partial(charts.draw_projection, projection=projection, forget=report.forget, names=names)
    return Picture(
        title=title,
        svg=render_svg("projection", alternative, draw),
        alternative=alternative,
        caption="A class that the features still know is a cloud of its own; one that they do not "
        "know lies among the others. Two dimensions can hide what more would show: the measures "
        "below judge, not this picture.",
    )


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
        svg=render_svg("attacks", alternative, partial(charts.draw_attacks, measures=drawn)),
        alternative=alternative,
        caption=f"{goal} Thin lines are 95 % intervals. Balanced accuracy of 0.5 is a coin's.",
    )


def picture_curves(curves: Mapping[Role, Sequence[float]]) -> Picture:
    """How fast each model learns the class again."""
    ends = "; ".join(
        f"{ROLE_NAMES[role]} from {format_number(curve[0])} to {format_number(curve[-1])} in "
        f"{len(curve) - 1} steps"
        for role, curve in curves.items()
        if curve
    )
    title = "Learning the class again"
    alternative = f"{title}, accuracy on it after each step: {ends}."
    return Picture(
        title=title,
        svg=render_svg("curves", alternative, partial(charts.draw_curves, curves=curves)),
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
        f"{measure.title}: {format_number(measure.position)}" for measure in placed
    )
    title = "From the original, 0, to the retrained model, 1"
    alternative = f"{title}, a dot for each measure. {positions}."
    return Picture(
        title=title,
        svg=render_svg("scale", alternative, partial(charts.draw_scale, measures=placed)),
        alternative=alternative,
        caption="The nearer to 1, the more the edited model is like one that never saw the class. "
        "Below 0 the edit made things worse; above 1 it went beyond what retraining gives.",
    )


def picture_trajectory(trajectory: Sequence[TrainingStep]) -> Picture:
    """How training went."""
    first, last = (format_number(trajectory[place].forget_margin) for place in (0, -1))
    span = f" The largest margin goes from {first} to {last}."
    title = "Training, step by step"
    alternative = f"{title}: losses and the largest margin over {len(trajectory)} steps.{span}"
    return Picture(
        title=title,
        svg=render_svg(
            "trajectory", alternative, partial(charts.draw_trajectory, trajectory=trajectory)
        ),
        alternative=alternative,
        caption="The forget loss pushes the class's score down, the retain loss holds the other "
        "answers, the alignment loss makes its features like those of other classes. A margin "
        "below 0 says that no forget sample's class stands above the mean of the others.",
    )


def _name_rows(labels: Sequence[str], forget: Sequence[int]) -> tuple[str, ...]:
    """As `name_classes`, with labels cut so that a picture has room for all of the name."""
    cut = [
        label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"
        for label in labels
    ]
    return name_classes(cut, forget)


def _choose_rows(
    count: int,
    forget: Sequence[int],
    values: Mapping[Role, Sequence[float | None]],
    measure: Callable[[Sequence[float]], float],
) -> list[int]:
    """All classes, or the forgotten ones and those that `measure` puts first; by index."""

    def rank(row: int) -> tuple[bool, float]:
        present = [value for shares in values.values() if (value := _at(shares, row)) is not None]
        return row not in forget, -measure(present) if present else 0.0

    return sorted(sorted(range(count), key=rank)[:_MOST_ROWS])


def _measure_spread(values: Sequence[float]) -> float:
    return max(values) - min(values)


def _take(
    values: Mapping[Role, Sequence[float | None]], rows: Sequence[int]
) -> dict[Role, list[float | None]]:
    return {role: [_at(shares, row) for row in rows] for role, shares in values.items()}


def _at(values: Sequence[float | None], row: int) -> float | None:
    """None for a class that a model does not have: a retrained one may lack the forgotten."""
    return values[row] if row < len(values) else None


def _say_left_out(rows: Sequence[int], names: Sequence[str], which: str) -> str:
    left_out = len(names) - len(rows)
    return f" Shown are the classes {which}; {left_out} more are left out here." if left_out else ""


def _say(measure: Measure) -> str:
    figures = {
        "original": measure.original,
        "edited": measure.edited,
        "retrained": measure.reference,
    }
    return ", ".join(
        f"{name} {format_number(figure)}" for name, figure in figures.items() if figure is not None
    )
