"""README's picture: accuracies before and after, and an image that is no longer recognised."""

import base64
import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

_BEFORE, _AFTER, _INK = "#0066cd", "#d55e00", "#1a1d21"
_SIZE = (9.6, 3.6)  # inches


def draw_forgetting(report: dict[str, Any], path: Path) -> None:
    """Draw a `report.json` that has `outcomes`, as a PNG."""
    with mpl.rc_context({"font.size": 11, "text.color": _INK, "axes.labelcolor": _INK}):
        figure = Figure(figsize=_SIZE, layout="constrained", facecolor="white")
        left, right = figure.subplots(1, 2, width_ratios=[2.4, 1])
        _draw_classes(left, report)
        _draw_image(right, report)
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=160, metadata={"Software": None})
    Image.open(stream).convert("RGB").quantize(128).save(path, optimize=True)


def _draw_classes(axes: Axes, report: dict[str, Any]) -> None:
    labels, rows = report["labels"], np.arange(len(report["labels"]))
    for place, name, colour in ((-0.2, "before", _BEFORE), (0.2, "after", _AFTER)):
        values = [100 * (share or 0) for share in report[name]["per_class"]]
        axes.bar(rows + place, values, 0.38, color=colour, label=name)
    axes.set_xticks(rows, labels, rotation=35, ha="right", rotation_mode="anchor")
    for index in report["forget"]:
        axes.get_xticklabels()[index].set_weight("bold")
        left = 100 * (report["after"]["per_class"][index] or 0)
        axes.text(index + 0.2, left + 2, f"{left:.0f}", ha="center", color=_AFTER, weight="bold")
    axes.set(ylabel="accuracy, %", ylim=(0, 100))
    axes.set_title("Accuracy of each class")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.32), ncols=2, frameon=False)


def _draw_image(axes: Axes, report: dict[str, Any]) -> None:
    labels = report["labels"]
    shown = next(
        each for each in report["outcomes"]["forgotten"]
        if each["answers"]["original"] == each["true"] != each["answers"]["edited"]
    )  # fmt: skip
    content = base64.b64decode(shown["picture"].partition(",")[2])
    axes.imshow(np.asarray(Image.open(io.BytesIO(content))), cmap="gray")
    axes.set_axis_off()
    axes.set_title("An image of the class")
    for place, name, role, colour in (
        (-0.08, "before", "original", _BEFORE),
        (-0.2, "after", "edited", _AFTER),
    ):
        text = f"{name}: {labels[shown['answers'][role]]}"
        axes.text(0.5, place, text, transform=axes.transAxes, ha="center", va="top", color=colour,
                  weight="bold")  # fmt: skip
