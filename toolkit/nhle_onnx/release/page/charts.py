"""Charts, each drawn on an empty figure. Colours are told apart by colour-blind readers too, and
never alone: order, dashes or words say the same.
"""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nhle_onnx.release.page.svg import INK
from nhle_onnx.text import format_number
from nhle_onnx.values.audit import Measure, Projection, Role
from nhle_onnx.values.report import TrainingStep

ROLE_NAMES: Mapping[Role, str] = {
    "original": "original",
    "edited": "edited",
    "reference": "retrained",
}
_COLOURS: Mapping[Role, str] = {
    "original": "#0072b2",
    "edited": "#d55e00",
    "reference": "#009e73",
}
_DASHES: Mapping[Role, str] = {"original": "-", "edited": "--", "reference": ":"}
_HIGHLIGHTS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7")
_GREYS = (0.42, 0.70)  # both seen on white and on black
_NAMED_CLASSES = 20  # more names than this would cover the points
_LONGEST_NAME = 28
_BAR = 0.13  # inches, one bar
_LINE = 0.18  # inches, one line of a name
_GAP = 0.12  # inches, between rows
_MARGIN = 1.0  # inches, for axis and legend
_FARTHEST = (-1.0, 2.0)  # positions beyond are drawn at the edge

Values = Mapping[Role, Sequence[float | None]]


def draw_shares(figure: Figure, names: Sequence[str], values: Values, label: str) -> None:
    """A group of horizontal bars for each name, a bar for each model."""
    axes = _open_rows(figure, names, bars=len(values))
    height = 0.8 / len(values)
    for rank, (role, shares) in enumerate(values.items()):
        offset = (rank - (len(values) - 1) / 2) * height
        present = [(row, share) for row, share in enumerate(shares) if share is not None]
        axes.barh(
            [row + offset for row, _ in present],
            [share for _, share in present],
            height * 0.9,
            color=_COLOURS[role],
            label=ROLE_NAMES[role],
        )
    _finish_shares(axes, label)
    _add_legend(figure, axes)


def draw_attacks(figure: Figure, measures: Sequence[Measure]) -> None:
    """Bars for the original and the edited model, whiskers for the interval, and a mark where the
    retrained model stands.
    """
    axes = _open_rows(figure, [measure.title for measure in measures], bars=2)
    for row, measure in enumerate(measures):
        _draw_attack(axes, row, measure)
    _finish_shares(axes, "")
    widths: dict[Role, int] = {"original": 6, "edited": 6}
    if any(measure.reference is not None for measure in measures):
        widths["reference"] = 3
    handles = [
        Line2D([], [], color=_COLOURS[role], linewidth=width) for role, width in widths.items()
    ]
    names = [ROLE_NAMES[role] for role in widths]
    figure.legend(handles, names, loc="outside lower center", ncols=3)


def _draw_attack(axes: Axes, row: int, measure: Measure) -> None:
    if measure.original is not None:
        axes.barh(row - 0.2, measure.original, 0.36, color=_COLOURS["original"])
    if measure.edited is not None:
        axes.barh(row + 0.2, measure.edited, 0.36, color=_COLOURS["edited"])
    if measure.interval is not None:
        axes.hlines(row + 0.2, *measure.interval, color=INK, linewidth=1.2)
    if measure.reference is not None:
        axes.vlines(
            measure.reference, row - 0.42, row + 0.42, color=_COLOURS["reference"], linewidth=3
        )


def draw_scale(figure: Figure, measures: Sequence[Measure]) -> None:
    """A dot for each measure between the original, 0, and the retrained model, 1."""
    axes = _open_rows(figure, [measure.title for measure in measures], bars=2)
    positions = [measure.position or 0.0 for measure in measures]
    shown = np.clip(positions, *_FARTHEST)
    axes.axvline(0, color=_COLOURS["original"], linewidth=2)
    axes.axvline(1, color=_COLOURS["reference"], linewidth=2)
    rows = range(len(measures))
    axes.hlines(rows, 0, shown, color=_COLOURS["edited"], linewidth=1.5)
    axes.plot(shown, rows, "o", color=_COLOURS["edited"], markersize=7, clip_on=False)
    beside = axes.get_yaxis_transform()
    for row, position in zip(rows, positions, strict=True):
        axes.text(1.02, row, format_number(position), transform=beside, va="center")
    low, high = min(0.0, *shown), max(1.0, *shown)
    axes.set_xlim(low - 0.12, high + 0.12)
    axes.set_xticks([0, 0.5, 1], ["0\noriginal", "0.5", "1\nretrained"])
    axes.grid(axis="x")


def draw_projection(
    figure: Figure, projection: Projection, forget: Sequence[int], names: Sequence[str]
) -> None:
    """Features side by side, a panel for each model; the forgotten classes in colour."""
    width = figure.get_figwidth()
    figure.set_size_inches(width, min(width / len(projection.points), width / 2) + 0.6)
    panels = figure.subplots(1, len(projection.points), squeeze=False)[0]
    colours = dict(zip(forget, cycle(_HIGHLIGHTS), strict=False))
    for axes, (role, points) in zip(panels, projection.points.items(), strict=True):
        axes.set_title(ROLE_NAMES[role])
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        _draw_points(axes, projection.classes, points, colours)
    shown = {_shorten(names[index]): colour for index, colour in colours.items()}
    shown["other classes, by index"] = "0.56"
    handles = [Line2D([], [], color=colour, marker="o", linestyle="") for colour in shown.values()]
    figure.legend(handles, list(shown), loc="outside lower center", ncols=3)


def _draw_points(
    axes: Axes,
    classes: npt.NDArray[np.int64],
    points: npt.NDArray[np.float64],
    colours: Mapping[int, str],
) -> None:
    present = [int(index) for index in np.unique(classes)]
    others = [index for index in present if index not in colours]
    greys = dict(zip(others, np.linspace(*_GREYS, max(1, len(others))), strict=True))
    for index in (*others, *(index for index in present if index in colours)):
        places = points[classes == index]
        colour = colours.get(index) or f"{greys[index]:.2f}"
        axes.plot(*places.T, "o", color=colour, markersize=2.2, markeredgewidth=0)
    for index in others if len(present) <= _NAMED_CLASSES else ():
        x, y = np.median(points[classes == index], axis=0)
        axes.text(x, y, str(index), ha="center", va="center", weight="bold")


def draw_curves(figure: Figure, curves: Mapping[Role, Sequence[float]]) -> None:
    """Acc_F after each step of relearning, a line for each model."""
    axes = figure.subplots()
    for role, curve in curves.items():
        axes.plot(
            curve,
            _DASHES[role],
            color=_COLOURS[role],
            label=ROLE_NAMES[role],
            linewidth=2,
            marker="o" if len(curve) == 1 else "",
        )
    axes.set(xlabel="step of relearning", ylabel="Acc_F", ylim=(-0.02, 1.02), xlim=(0, None))
    axes.grid()
    _add_legend(figure, axes)


def draw_trajectory(figure: Figure, trajectory: Sequence[TrainingStep]) -> None:
    """Losses by step, and under them the forget samples' largest margin."""
    figure.set_size_inches(figure.get_figwidth(), 4.4)
    upper, lower = figure.subplots(2, 1, sharex=True)
    steps = [point.step for point in trajectory]
    for name, colour, dashes in zip(
        ("forget_loss", "retain_loss", "alignment_loss"),
        _HIGHLIGHTS,
        ("--", "-", ":"),
        strict=False,
    ):
        losses = [getattr(point, name) for point in trajectory]
        label = name.replace("_", " ")
        upper.plot(steps, losses, dashes, color=colour, label=label, linewidth=1.8)
    lower.plot(steps, [point.forget_margin for point in trajectory], color=INK, linewidth=1.8)
    lower.axhline(0, color=INK, linewidth=0.8)
    upper.set_ylabel("loss")
    lower.set(ylabel="largest margin", xlabel="step")
    upper.grid()
    lower.grid()
    _add_legend(figure, upper)


def _open_rows(figure: Figure, names: Sequence[str], *, bars: int) -> Axes:
    """Axes with a named row for each name, top down, high enough for so many bars a row."""
    wrapped = [_wrap(name) for name in names]
    lines = max(name.count("\n") + 1 for name in wrapped)
    row = max(_BAR * bars, _LINE * lines) + _GAP
    figure.set_size_inches(figure.get_figwidth(), _MARGIN + row * len(names))
    axes = figure.subplots()
    axes.set_yticks(range(len(names)), wrapped)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    return axes


def _finish_shares(axes: Axes, label: str) -> None:
    axes.set_xlim(0, 1)
    axes.set_xlabel(label)
    axes.set_axisbelow(True)
    axes.grid(axis="x")


def _add_legend(figure: Figure, axes: Axes) -> None:
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)


def _wrap(name: str) -> str:
    """A long title on several lines."""
    return "\n".join(textwrap.wrap(name, _LONGEST_NAME, max_lines=3, placeholder="…"))


def _shorten(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
