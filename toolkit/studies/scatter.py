"""The picture of a comparison: what is kept against what is still remembered."""

from collections.abc import Mapping, Sequence
from itertools import cycle, product
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from studies.pictures import COLOURS, save_picture

MARKERS = ("o", "s", "^", "D")
STAR, HIGHLIGHT = "*", "#000000"


class Place(NamedTuple):
    """A method's means, and those of each of its cells, as (unmasked Acc_F, Acc_R)."""

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
