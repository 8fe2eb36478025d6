"""Pictures of results, in colours that most people can tell apart; same rows, same bytes."""

from collections.abc import Mapping, Sequence
from itertools import cycle, product
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#7f7f7f")
MARKERS = ("o", "s", "^", "D")
STAR, HIGHLIGHT = "*", "#000000"
WIDTH = 0.7  # of a subject's space in a strip


class Strips(NamedTuple):
    """One panel: values by series and subject, and a line for each series' limit."""

    title: str
    values: Mapping[str, Mapping[str, Sequence[float]]]
    limits: Mapping[str, float]


def draw_strips(panels: Sequence[Strips], path: Path) -> None:
    """Write an SVG with the panels above each other. Marks are spread evenly, not at random."""
    subjects = list(next(iter(panels[0].values.values())))
    figure = Figure(
        figsize=(max(5.0, 1.3 * len(subjects)), 3.2 * len(panels)), layout="constrained"
    )
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, panel in zip(axes, panels, strict=True):
        share = WIDTH / len(panel.values)
        for index, (series, groups) in enumerate(panel.values.items()):
            colour = COLOURS[index % len(COLOURS)]
            left = -WIDTH / 2 + index * share
            for position, values in enumerate(groups.values()):
                places = position + left + share * np.linspace(0.15, 0.85, len(values))
                axis.scatter(
                    places, values, s=9, color=colour, alpha=0.6, linewidths=0,
                    label=series if position == 0 else None,
                )  # fmt: skip
            axis.axhline(panel.limits[series], color=colour, linewidth=0.8, linestyle="--")
        axis.set_ylabel(panel.title)
        axis.grid(axis="y", alpha=0.3)
    axes[-1].set_xticks(range(len(subjects)), subjects, fontsize="small")
    axes[0].legend(frameon=False, loc="upper left", fontsize="small")
    save_picture(figure, path)


class Course(NamedTuple):
    """A value at each step, and its limit."""

    values: Sequence[float]
    limit: float | None = None
    is_logarithmic: bool = False


class Place(NamedTuple):
    """A method's means, overall and for each cell, as (unmasked Acc_F, Acc_R)."""

    mean: tuple[float, float]
    cells: Sequence[tuple[float, float]]


def draw_scatter(panels: Mapping[str, Mapping[str, Place]], highlight: str, path: Path) -> None:
    """Write an SVG with a panel for each entry; the place named `highlight` gets a star."""
    figure = Figure(figsize=(5.2 * len(panels), 6.4), layout="constrained")
    axes = figure.subplots(1, len(panels), sharex=True, squeeze=False)[0]
    names = dict.fromkeys(name for places in panels.values() for name in places)
    styles = dict(zip(names, cycle(product(MARKERS, COLOURS)), strict=False))
    styles[highlight] = (STAR, HIGHLIGHT)
    for panel, (title, places) in zip(axes, panels.items(), strict=True):
        panel.set_title(title)
        panel.set_xlabel("unmasked Acc_F (lower forgets more)")
        panel.grid(alpha=0.3)
        _draw_places(panel, places, styles)
    axes[0].set_ylabel("Acc_R (higher keeps more)")
    save_picture(figure, path)


def _draw_places(
    panel: Axes, places: Mapping[str, Place], styles: Mapping[str, tuple[str, str]]
) -> None:
    for name, place in places.items():
        marker, colour = styles[name]
        panel.scatter(
            [x for x, _ in place.cells], [y for _, y in place.cells], s=10, color=colour, alpha=0.25
        )
        panel.scatter(
            *place.mean,
            s=400 if marker == STAR else 60,
            marker=marker,
            color=colour,
            edgecolors="white",
            label=name,
            zorder=2 if marker == STAR else 3,  # large and beneath, so that it hides no other
        )
    panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, frameon=False)


def draw_courses(courses: Mapping[str, Mapping[str, Course]], path: Path) -> None:
    """Write an SVG with a column for each entry, and in it a panel for each of its courses."""
    names = list(next(iter(courses.values())))
    figure = Figure(figsize=(3.4 * len(courses), 1.9 * len(names)), layout="constrained")
    axes = figure.subplots(len(names), len(courses), sharex="col", squeeze=False)
    for column, (title, panels) in enumerate(courses.items()):
        axes[0, column].set_title(title, fontsize="medium")
        axes[-1, column].set_xlabel("step")
        for axis, name in zip(axes[:, column], names, strict=True):
            course = panels[name]
            axis.plot(range(1, len(course.values) + 1), course.values, color=COLOURS[0])
            if course.limit is not None:
                axis.axhline(course.limit, color=COLOURS[1], linewidth=0.8, linestyle="--")
            axis.set_yscale("log" if course.is_logarithmic else "linear")
            axis.grid(alpha=0.3)
    for axis, name in zip(axes[:, 0], names, strict=True):
        axis.set_ylabel(name)
    save_picture(figure, path)


def save_picture(figure: Figure, path: Path) -> None:
    """Write an SVG; the same picture gives the same bytes."""
    with mpl.rc_context({"svg.hashsalt": path.stem}):
        figure.savefig(path, metadata={"Date": None})
