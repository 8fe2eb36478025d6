"""What all charts have in common: colours, dashes, names, legends."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nhle_onnx.values.outcomes import Role

ROLE_NAMES: Mapping[Role, str] = {
    "original": "original",
    "edited": "edited",
    "reference": "retrained",
}
COLOURS: Mapping[Role, str] = {
    "original": "#0066cd",
    "edited": "#d55e00",
    "reference": "#07a785",
}
DASHES: Mapping[Role, str] = {"original": "-", "edited": "--", "reference": ":"}
HIGHLIGHTS = ("#d55e00", "#0066cd", "#07a785", "#a24485")
_LONGEST_NAME = 28
Points = npt.NDArray[np.float64]
Values = Mapping[Role, Sequence[float | None]]


def add_legend(figure: Figure, axes: Axes) -> None:
    """Add a legend below the chart."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)


def wrap(name: str) -> str:
    """Write a long title on several lines."""
    return "\n".join(textwrap.wrap(name, _LONGEST_NAME, max_lines=3, placeholder="…"))


def shorten(name: str) -> str:
    """Shorten a name to a line of a legend."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
