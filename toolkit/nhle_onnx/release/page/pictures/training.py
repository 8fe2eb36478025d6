"""How training went."""

from collections.abc import Sequence
from functools import partial

from nhle_onnx.release.page.charts.curves import draw_trajectory
from nhle_onnx.release.page.elements import Picture
from nhle_onnx.release.page.figures import format_plain
from nhle_onnx.release.page.svg import make_picture
from nhle_onnx.values.report import TrainingStep


def picture_trajectory(trajectory: Sequence[TrainingStep]) -> Picture:
    """Draw how training went."""
    first, last = (format_plain(trajectory[place].forget_margin) for place in (0, -1))
    span = f" The largest margin goes from {first} to {last}."
    title = "Training, step by step"
    alternative = f"{title}: losses and the largest margin over {len(trajectory)} steps.{span}"
    return make_picture(
        "trajectory",
        partial(draw_trajectory, trajectory=trajectory),
        title=title,
        alternative=alternative,
        caption="The forget loss pushes the class's score down, the retain loss holds the other "
        "answers, the alignment loss makes its features like those of other classes. A margin "
        "below 0 says that no forget sample's class stands above the mean of the others.",
    )
