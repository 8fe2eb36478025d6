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
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from nhle_onnx.release.page.figures import format_plain
from nhle_onnx.release.page.svg import INK
from nhle_onnx.release.rows import name_measure
from nhle_onnx.values.audit import Measure, Projection
from nhle_onnx.values.outcomes import Role
from nhle_onnx.values.report import TrainingStep

ROLE_NAMES: Mapping[Role, str] = {
    "original": "original",
    "edited": "edited",
    "reference": "retrained",
}
_COLOURS: Mapping[Role, str] = {
    "original": "#0066cd",
    "edited": "#d55e00",
    "reference": "#07a785",
}
_DASHES: Mapping[Role, str] = {"original": "-", "edited": "--", "reference": ":"}
_HIGHLIGHTS = ("#d55e00", "#0066cd", "#07a785", "#a24485")
_GREYS = (0.42, 0.70)  # both seen on white and on black
_NAMED_CLASSES = 20  # more names than this would cover the points
_LONGEST_NAME = 28
_BAR = 0.13  # inches, one bar
_LINE = 0.18  # inches, one line of a name
_GAP = 0.12  # inches, between rows
_MARGIN = 1.0  # inches, for axis and legend
_FARTHEST = (-1.0, 2.0)  # positions beyond are drawn at the edge

_LABEL = 0.075  # of the panel, which a label covers
_MOVES = 200
_FADED = 0.6  # so that figures can be read on the darkest cell
_LEAST = 0.005  # a share that is written as 1 %
_FIGURES = 12  # classes up to which cells have figures

Points = npt.NDArray[np.float64]
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
    axes = _open_rows(figure, [name_measure(measure) for measure in measures], bars=2)
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
    axes = _open_rows(figure, [name_measure(measure) for measure in measures], bars=2)
    positions = [measure.position or 0.0 for measure in measures]
    shown = np.clip(positions, *_FARTHEST)
    axes.axvline(0, color=_COLOURS["original"], linewidth=2)
    axes.axvline(1, color=_COLOURS["reference"], linewidth=2)
    rows = range(len(measures))
    axes.hlines(rows, 0, shown, color=_COLOURS["edited"], linewidth=1.5)
    axes.plot(shown, rows, "o", color=_COLOURS["edited"], markersize=7, clip_on=False)
    beside = axes.get_yaxis_transform()
    for row, position in zip(rows, positions, strict=True):
        axes.text(1.02, row, format_plain(position), transform=beside, va="center")
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
    if others and len(present) <= _NAMED_CLASSES:
        centres = [np.median(points[classes == index], axis=0) for index in others]
        for index, (x, y) in zip(others, spread(np.array(centres), np.ptp(points, 0)), strict=True):
            axes.text(x, y, str(index), ha="center", va="center", weight="bold")


def spread(places: Points, extent: Points) -> Points:
    """Move places [N, 2] of labels apart until none covers another; `extent` [2] is the panel's."""
    room = np.where(extent > 0, extent, 1.0) * _LABEL
    moved = places.astype(np.float64) / room
    moved += np.arange(len(moved))[:, None] * 1e-6  # equal places part, too
    for _ in range(_MOVES):
        apart = moved[:, None] - moved[None]
        distance = np.linalg.norm(apart, axis=-1)
        overlap = np.clip(1 - distance, 0, None) * (1 - np.eye(len(moved)))
        if not overlap.any():
            break
        moved += (apart / np.maximum(distance, 1e-9)[..., None] * overlap[..., None]).sum(1) * 0.55
    spaced: Points = moved * room
    return spaced


def draw_confusion(
    figure: Figure,
    names: Sequence[str],
    indices: Sequence[int],
    shares: Mapping[Role, npt.NDArray[np.float64]],
    forgotten: Sequence[int],
) -> None:
    """A table of shares for each model, dark where they are high; forgotten classes are framed."""
    width = figure.get_figwidth() * (1.3 if len(names) <= _FIGURES else 2)
    figure.set_size_inches(width, width / (len(shares) + 0.5) + 0.3)
    panels = figure.subplots(1, len(shares), squeeze=False)[0]
    places = range(len(names))
    for axes, (role, table) in zip(panels, shares.items(), strict=True):
        _draw_table(axes, table, forgotten)
        axes.set_title(ROLE_NAMES[role])
        axes.set_xticks(places, [str(index) for index in indices], size=8)
        axes.set_yticks(places, [""] * len(names))
    panels[0].set_yticks(places, [_wrap(name) for name in names], size=8)


def _draw_table(axes: Axes, table: Points, forgotten: Sequence[int]) -> None:
    size = len(table)
    axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), aspect="equal")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    for row, column in np.argwhere(table >= _LEAST):
        corner, share = (column - 0.5, row - 0.5), float(table[row, column])
        shade = {"color": _COLOURS["original"], "alpha": _FADED * share**0.5}
        axes.add_patch(Rectangle(corner, 1, 1, linewidth=0, **shade))
        if size <= _FIGURES:
            axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", size=7)
    for row in forgotten:
        for corner, width, height in (((-0.5, row - 0.5), size, 1), ((row - 0.5, -0.5), 1, size)):
            frame = Rectangle(corner, width, height, fill=False, edgecolor=_COLOURS["edited"])
            axes.add_patch(frame)


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
    axes.set(xlabel="step of relearning", ylabel="recognised", ylim=(-0.02, 1.02), xlim=(0, None))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
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
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
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
