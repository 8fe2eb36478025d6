"""What pictures share: colours that most people can tell apart, and how they are written."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#7f7f7f")


def save_picture(figure: Figure, path: Path) -> None:
    """Write an SVG; the same picture gives the same bytes."""
    with mpl.rc_context({"svg.hashsalt": path.stem}):
        figure.savefig(path, metadata={"Date": None})
