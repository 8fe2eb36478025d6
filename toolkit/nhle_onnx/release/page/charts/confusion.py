"""Which classes are taken for which, as a table of shares."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from nhle_onnx.release.page.charts.style import (
    COLOURS,
    ROLE_NAMES,
    Points,
    wrap,
)
from nhle_onnx.values.outcomes import Role

_FADED = 0.6  # so that figures can be read on the darkest cell
_LEAST = 0.005  # a share that is written as 1 %
_FIGURES = 12  # classes up to which cells have figures


def draw_confusion(
    figure: Figure,
    names: Sequence[str],
    indices: Sequence[int],
    shares: Mapping[Role, npt.NDArray[np.float64]],
    forgotten: Sequence[int],
) -> None:
    """Draw a table of shares for each model, dark where high; forgotten classes are framed."""
    width = figure.get_figwidth() * (1.3 if len(names) <= _FIGURES else 2)
    figure.set_size_inches(width, width / (len(shares) + 0.5) + 0.3)
    panels = figure.subplots(1, len(shares), squeeze=False)[0]
    places = range(len(names))
    for axes, (role, table) in zip(panels, shares.items(), strict=True):
        _draw_table(axes, table, forgotten)
        axes.set_title(ROLE_NAMES[role])
        axes.set_xticks(places, [str(index) for index in indices], size=8)
        axes.set_yticks(places, [""] * len(names))
    panels[0].set_yticks(places, [wrap(name) for name in names], size=8)


def _draw_table(axes: Axes, table: Points, forgotten: Sequence[int]) -> None:
    size = len(table)
    axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), aspect="equal")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    for row, column in np.argwhere(table >= _LEAST):
        corner, share = (column - 0.5, row - 0.5), float(table[row, column])
        shade = {"color": COLOURS["original"], "alpha": _FADED * share**0.5}
        axes.add_patch(Rectangle(corner, 1, 1, linewidth=0, **shade))
        if size <= _FIGURES:
            axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", size=7)
    for row in forgotten:
        for corner, width, height in (((-0.5, row - 0.5), size, 1), ((row - 0.5, -0.5), 1, size)):
            frame = Rectangle(corner, width, height, fill=False, edgecolor=COLOURS["edited"])
            axes.add_patch(frame)
