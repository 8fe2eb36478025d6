"""A picture of many measurements: one mark each, side by side by subject."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from studies.pictures import COLOURS, save_picture

WIDTH = 0.7  # of the space that a subject has


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
