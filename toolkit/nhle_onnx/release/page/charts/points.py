"""Features as points, a panel for each model."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nhle_onnx.release.page.charts.style import HIGHLIGHTS, ROLE_NAMES, Points, shorten
from nhle_onnx.values.audit import Projection

_GREYS = (0.42, 0.70)  # both seen on white and on black
_NAMED_CLASSES = 20  # more names than this would cover the points
_LABEL = 0.075  # of the panel, which a label covers
_MOVES = 200


def draw_projection(
    figure: Figure, projection: Projection, forget: Sequence[int], names: Sequence[str]
) -> None:
    """Draw features side by side, a panel for each model; the forgotten classes in colour."""
    width = figure.get_figwidth()
    figure.set_size_inches(width, min(width / len(projection.points), width / 2) + 0.6)
    panels = figure.subplots(1, len(projection.points), squeeze=False)[0]
    colours = dict(zip(forget, cycle(HIGHLIGHTS), strict=False))
    for axes, (role, points) in zip(panels, projection.points.items(), strict=True):
        axes.set_title(ROLE_NAMES[role])
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        _draw_points(axes, projection.classes, points, colours)
    shown = {shorten(names[index]): colour for index, colour in colours.items()}
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
    greys = dict(zip(others, np.linspace(*_GREYS, len(others)), strict=True))
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
    moved += np.arange(len(moved))[:, None] * 1e-6  # labels at equal places move apart, too
    for _ in range(_MOVES):
        apart = moved[:, None] - moved[None]
        distance = np.linalg.norm(apart, axis=-1)
        overlap = np.clip(1 - distance, 0, None) * (1 - np.eye(len(moved)))
        if not overlap.any():
            break
        moved += (apart / np.maximum(distance, 1e-9)[..., None] * overlap[..., None]).sum(1) * 0.55
    spaced: Points = moved * room
    return spaced
