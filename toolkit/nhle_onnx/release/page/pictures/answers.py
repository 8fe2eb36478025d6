"""What models answer: accuracy, where forgotten images go, which classes are confused."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from nhle_onnx.release.page.charts.confusion import draw_confusion
from nhle_onnx.release.page.charts.rows import draw_shares
from nhle_onnx.release.page.charts.style import ROLE_NAMES
from nhle_onnx.release.page.elements import Picture
from nhle_onnx.release.page.figures import format_share
from nhle_onnx.release.page.svg import make_picture
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
from nhle_onnx.values.outcomes import Outcomes, Role
from nhle_onnx.values.report import Accuracy

Counts = npt.NDArray[np.int64]


def picture_accuracy(
    labels: Sequence[str], forget: Sequence[int], accuracies: Mapping[Role, Accuracy]
) -> Picture:
    """Draw the accuracy of each class on each model."""
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
    return make_picture(
        "accuracy",
        partial(
            draw_shares,
            names=[names[row] for row in rows],
            values=take(values, rows),
            label="accuracy",
        ),
        title=title,
        alternative=alternative,
        caption="On the edited model, a forgotten class should be near 0 and every other class as "
        "high as on the original." + say_left_out(rows, labels, "that changed most"),
    )


def picture_flows(
    labels: Sequence[str], forget: Sequence[int], flows: Mapping[Role, Sequence[float]]
) -> Picture:
    """Draw which classes the forgotten images are taken for."""
    names = name_classes(cut_labels(labels), forget)
    rows = choose_rows(len(names), forget, flows, max)
    first = "; ".join(
        f"{ROLE_NAMES[role]} most often {names[top]} ({format_share(shares[top])})"
        for role, shares in flows.items()
        for top in (max(range(len(names)), key=lambda row: at(shares, row) or 0.0),)
    )
    title = "Where forgotten images go"
    alternative = f"{title}, bars for each class and model: {first}."
    return make_picture(
        "flows",
        partial(
            draw_shares,
            names=[names[row] for row in rows],
            values=take(flows, rows),
            label="part of the forgotten images that get this answer",
        ),
        title=title,
        alternative=alternative,
        caption="A model that never saw the class spreads its images over classes that look alike. "
        "A single class that takes them all is a trace of the edit."
        + say_left_out(rows, names, "that get most"),
    )


def picture_confusion(
    labels: Sequence[str], forget: Sequence[int], outcomes: Outcomes
) -> Picture | None:
    """Draw which classes are taken for which, on each model; None without an image."""
    if not outcomes.images:
        return None
    names = name_classes(cut_labels(labels), forget)
    counts = {role: count_pairs(pairs, len(labels)) for role, pairs in outcomes.confusion.items()}
    rows = _choose_confused(counts, forget)
    left_out = say_left_out(rows, names, "whose answers changed most")
    title = "Which classes are taken for which"
    alternative = f"{title}, a table for each model. {_list_confused(counts, names)}"
    return make_picture(
        "confusion",
        partial(
            draw_confusion,
            names=[names[row] for row in rows],
            indices=rows,
            shares={role: _share(table, rows) for role, table in counts.items()},
            forgotten=[rows.index(index) for index in forget if index in rows],
        ),
        title=title,
        alternative=alternative,
        caption="A row is a class, a column an answer; the figures are percent of the row. On the "
        "diagonal stand right answers. The column of a forgotten class should be empty on the "
        f"edited model, and the rest as before.{left_out}",
    )


def count_pairs(pairs: Sequence[tuple[int, int, int]], count: int) -> Counts:
    """Return a table of counts [true, answer], filled from the pairs that occur."""
    table = np.zeros((count, count), np.int64)
    for true, given, number in pairs:
        table[true, given] += number
    return table


def count_flows(outcomes: Outcomes, forget: Sequence[int], count: int) -> dict[Role, list[float]]:
    """Return the shares of forgotten images that get each answer; empty without such an image."""
    flows = {}
    for role, pairs in outcomes.confusion.items():
        given = count_pairs(pairs, count)[list(forget)].sum(0)
        if given.sum():
            flows[role] = [float(share) for share in given / given.sum()]
    return flows


def _choose_confused(counts: Mapping[Role, Counts], forget: Sequence[int]) -> list[int]:
    """Choose rows of forgotten classes, and of those whose answers differ most between models."""
    tables = list(counts.values())
    changes = np.abs(tables[0] - counts.get("edited", tables[-1])).sum(1)
    busy = tables[0].sum(1) - np.diag(tables[0])
    order = sorted(
        range(len(changes)), key=lambda row: (row not in forget, -changes[row], -busy[row])
    )
    return sorted(order[:MOST_ROWS])


def _share(table: Counts, rows: Sequence[int]) -> npt.NDArray[np.float64]:
    """Return the shares of each chosen row that go to each chosen class."""
    totals = np.maximum(1, table[rows].sum(1, keepdims=True))
    shares: npt.NDArray[np.float64] = table[np.ix_(rows, rows)] / totals
    return shares


def _list_confused(counts: Mapping[Role, Counts], names: Sequence[str]) -> str:
    """Write the most frequent mistakes of each model in words."""
    said = []
    for role, table in counts.items():
        wrong = table - np.diag(np.diag(table))
        top = [np.unravel_index(place, wrong.shape) for place in np.argsort(-wrong, axis=None)[:3]]
        pairs = [f"{names[i]} as {names[j]} ({wrong[i, j]})" for i, j in top if wrong[i, j]]
        said.append(f"{ROLE_NAMES[role]}: most often {', '.join(pairs) or 'no mistake'}.")
    return " ".join(said)
