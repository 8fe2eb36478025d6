"""Pictures of what was measured, each with words for what it shows."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from nhle_onnx.release.page import charts
from nhle_onnx.release.page.charts import ROLE_NAMES
from nhle_onnx.release.page.elements import Picture
from nhle_onnx.release.page.figures import format_of_measure, format_plain, format_share
from nhle_onnx.release.page.svg import render_svg
from nhle_onnx.release.rows import (
    MOST_ROWS,
    at,
    choose_rows,
    cut_labels,
    measure_spread,
    name_classes,
    say_left_out,
    take,
)
from nhle_onnx.text import name_class
from nhle_onnx.values.audit import AuditReport, Measure, Projection
from nhle_onnx.values.outcomes import Outcomes, Role
from nhle_onnx.values.report import Accuracy, TrainingStep

Counts = npt.NDArray[np.int64]

_SHARED_SCALE = ("unmasking", "probe", "membership")  # attacks whose figures are all fractions


def picture_accuracy(
    labels: Sequence[str], forget: Sequence[int], accuracies: Mapping[Role, Accuracy]
) -> Picture:
    """Accuracy of each class on each model."""
    values = {role: accuracy.per_class for role, accuracy in accuracies.items()}
    rows = choose_rows(len(labels), forget, values, measure_spread)
    names = name_classes(cut_labels(labels), forget)
    means = "; ".join(
        f"{ROLE_NAMES[role]} {format_share(accuracy.acc_f)} on forgotten and "
        f"{format_share(accuracy.acc_r)} on all other classes"
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
                values=take(values, rows),
                label="accuracy",
            ),
        ),
        alternative=alternative,
        caption="On the edited model, a forgotten class should be near 0 and every other class as "
        "high as on the original." + say_left_out(rows, labels, "that changed most"),
    )


def picture_flows(
    labels: Sequence[str], forget: Sequence[int], flows: Mapping[Role, Sequence[float]]
) -> Picture:
    """Which classes the forgotten images are taken for."""
    names = name_classes(cut_labels(labels), forget)
    rows = choose_rows(len(names), forget, flows, max)
    first = "; ".join(
        f"{ROLE_NAMES[role]} most often {names[top]} ({format_share(shares[top])})"
        for role, shares in flows.items()
        for top in (max(range(len(names)), key=lambda row: at(shares, row) or 0.0),)
    )
    title = "Where forgotten images go"
    alternative = f"{title}, bars for each class and model: {first}."
    return Picture(
        title=title,
        svg=render_svg(
            "flows",
            alternative,
            partial(
                charts.draw_shares,
                names=[names[row] for row in rows],
                values=take(flows, rows),
                label="part of the forgotten images that get this answer",
            ),
        ),
        alternative=alternative,
        caption="A model that never saw the class spreads its images over classes that look alike. "
        "A single class that takes them all is a trace of the edit."
        + say_left_out(rows, names, "that get most"),
    )


def picture_confusion(
    labels: Sequence[str], forget: Sequence[int], outcomes: Outcomes
) -> Picture | None:
    """Which classes are taken for which, on each model; None without an image."""
    if not outcomes.images:
        return None
    names = name_classes(cut_labels(labels), forget)
    counts = {role: count_pairs(pairs, len(labels)) for role, pairs in outcomes.confusion.items()}
    rows = _choose_confused(counts, forget)
    left_out = say_left_out(rows, names, "whose answers changed most")
    title = "Which classes are taken for which"
    alternative = f"{title}, a table for each model. {_list_confused(counts, names)}"
    return Picture(
        title=title,
        svg=render_svg(
            "confusion",
            alternative,
            partial(
                charts.draw_confusion,
                names=[names[row] for row in rows],
                indices=rows,
                shares={role: _share(table, rows) for role, table in counts.items()},
                forgotten=[rows.index(index) for index in forget if index in rows],
            ),
        ),
        alternative=alternative,
        caption="A row is a class, a column an answer; the figures are percent of the row. On the "
        "diagonal stand right answers. The column of a forgotten class should be empty on the "
        f"edited model, and the rest as before.{left_out}",
    )


def count_pairs(pairs: Sequence[tuple[int, int, int]], count: int) -> Counts:
    """A table of counts [true, answer], filled from the pairs that occur."""
    table = np.zeros((count, count), np.int64)
    for true, given, number in pairs:
        table[true, given] += number
    return table


def count_flows(outcomes: Outcomes, forget: Sequence[int], count: int) -> dict[Role, list[float]]:
    """The shares of forgotten images that get each answer; empty without such an image."""
    flows = {}
    for role, pairs in outcomes.confusion.items():
        given = count_pairs(pairs, count)[list(forget)].sum(0)
        if given.sum():
            flows[role] = [float(share) for share in given / given.sum()]
    return flows


def _choose_confused(counts: Mapping[Role, Counts], forget: Sequence[int]) -> list[int]:
    """Rows of forgotten classes, and of those whose answers differ most between the models."""
    tables = list(counts.values())
    changes = np.abs(tables[0] - counts.get("edited", tables[-1])).sum(1)
    busy = tables[0].sum(1) - np.diag(tables[0])
    order = sorted(
        range(len(changes)), key=lambda row: (row not in forget, -changes[row], -busy[row])
    )
    return sorted(order[:MOST_ROWS])


def _share(table: Counts, rows: Sequence[int]) -> npt.NDArray[np.float64]:
    """Shares of each chosen row that go to each chosen class."""
    totals = np.maximum(1, table[rows].sum(1, keepdims=True))
    shares: npt.NDArray[np.float64] = table[np.ix_(rows, rows)] / totals
    return shares


def _list_confused(counts: Mapping[Role, Counts], names: Sequence[str]) -> str:
    """The most frequent mistakes of each model, in words."""
    said = []
    for role, table in counts.items():
        wrong = table - np.diag(np.diag(table))
        top = [np.unravel_index(place, wrong.shape) for place in np.argsort(-wrong, axis=None)[:3]]
        pairs = [f"{names[i]} as {names[j]} ({wrong[i, j]})" for i, j in top if wrong[i, j]]
        said.append(f"{ROLE_NAMES[role]}: most often {', '.join(pairs) or 'no mistake'}.")
    return " ".join(said)


def picture_projection(report: AuditReport, projection: Projection) -> Picture:
    """Features of the judging samples in two dimensions."""
    names = [name_class(index, label) for index, label in enumerate(report.labels)]
    forgotten = ", ".join(names[index] for index in report.forget)
    roles = ", ".join(ROLE_NAMES[role] for role in projection.points)
    title = "Features in two dimensions (PCA)"
    alternative = (
        f"{title}: {len(projection.classes)} images as points, a panel for each model ({roles}); "
        f"those of {forgotten} are coloured, the others grey."
    )
    draw = partial(charts.draw_projection, projection=projection, forget=report.forget, names=names)
    return Picture(
        title=title,
        svg=render_svg("projection", alternative, draw),
        alternative=alternative,
        caption="Each model's features, projected on the two directions in which they vary most "
        "(principal component analysis). A class that the features still know is a cloud of its "
        "own. "
        + _compare_clouds(report)
        + " Two of many directions can hide a class or set one apart by chance, so the figures "
        "judge, not this picture.",
    )


def _compare_clouds(report: AuditReport) -> str:
    """Say why the cloud of the edited model may look worse than the verdict."""
    if report.verdict != "passed":
        return "The verdict above says what the attacks made of it."
    if report.reference is None:
        return (
            "A cloud that lies apart is no contradiction to the verdict: no attack found more of "
            "the class than is allowed."
        )
    return (
        "A cloud that lies apart is no contradiction to the verdict: a model that never saw the "
        "class may set it apart as well, as the retrained one shows."
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
        f"{measure.title}: {format_plain(measure.position)}" for measure in placed
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
    first, last = (format_plain(trajectory[place].forget_margin) for place in (0, -1))
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
