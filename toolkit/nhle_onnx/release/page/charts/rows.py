"""Charts with a named row for each figure: bars, or dots on a scale."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from nhle_onnx.release.page.charts.style import (
    COLOURS,
    ROLE_NAMES,
    Values,
    add_legend,
    wrap,
)
from nhle_onnx.release.page.figures import format_position
from nhle_onnx.release.page.svg import INK
from nhle_onnx.release.rows import name_measure
from nhle_onnx.values.audit import Measure

if TYPE_CHECKING:
    from nhle_onnx.values.outcomes import Role

_BAR = 0.13  # inches, one bar
_LINE = 0.18  # inches, one line of a name
_GAP = 0.12  # inches, between rows
_MARGIN = 1.0  # inches, for axis and legend
_FARTHEST = (-1.0, 2.0)  # positions beyond are drawn at the edge


def draw_shares(figure: Figure, names: Sequence[str], values: Values, label: str) -> None:
    """Draw a group of horizontal bars for each name, a bar for each model."""
    axes = _open_rows(figure, names, bars=len(values))
    height = 0.8 / len(values)
    for rank, (role, shares) in enumerate(values.items()):
        offset = (rank - (len(values) - 1) / 2) * height
        present = [(row, share) for row, share in enumerate(shares) if share is not None]
        axes.barh(
            [row + offset for row, _ in present],
            [share for _, share in present],
            height * 0.9,
            color=COLOURS[role],
            label=ROLE_NAMES[role],
        )
    _finish_shares(axes, label)
    add_legend(figure, axes)


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
        Line2D([], [], color=COLOURS[role], linewidth=width) for role, width in widths.items()
    ]
    names = [ROLE_NAMES[role] for role in widths]
    figure.legend(handles, names, loc="outside lower center", ncols=3)


def _draw_attack(axes: Axes, row: int, measure: Measure) -> None:
    if measure.original is not None:
        axes.barh(row - 0.2, measure.original, 0.36, color=COLOURS["original"])
    if measure.edited is not None:
        axes.barh(row + 0.2, measure.edited, 0.36, color=COLOURS["edited"])
    if measure.interval is not None:
        axes.hlines(row + 0.2, *measure.interval, color=INK, linewidth=1.2)
    if measure.reference is not None:
        axes.vlines(
            measure.reference, row - 0.42, row + 0.42, color=COLOURS["reference"], linewidth=3
        )


def draw_scale(figure: Figure, measures: Sequence[Measure]) -> None:
    """Draw a dot for each measure between the original, 0, and the retrained model, 1."""
    axes = _open_rows(figure, [name_measure(measure) for measure in measures], bars=2)
    positions = [measure.position or 0.0 for measure in measures]
    shown = np.clip(positions, *_FARTHEST)
    axes.axvline(0, color=COLOURS["original"], linewidth=2)
    axes.axvline(1, color=COLOURS["reference"], linewidth=2)
    rows = range(len(measures))
    axes.hlines(rows, 0, shown, color=COLOURS["edited"], linewidth=1.5)
    axes.plot(shown, rows, "o", color=COLOURS["edited"], markersize=7, clip_on=False)
    beside = axes.get_yaxis_transform()
    for row, position in zip(rows, positions, strict=True):
        axes.text(1.02, row, format_position(position), transform=beside, va="center")
    low, high = min(0.0, *shown), max(1.0, *shown)
    axes.set_xlim(low - 0.12, high + 0.12)
    axes.set_xticks([0, 0.5, 1], ["0\noriginal", "0.5", "1\nretrained"])
    axes.grid(axis="x")


def _open_rows(figure: Figure, names: Sequence[str], *, bars: int) -> Axes:
    """Axes with a named row for each name, top down, high enough for so many bars a row."""
    wrapped = [wrap(name) for name in names]
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
