"""How the budget is spent, step by step: the picture of the page of `strangers`."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from nhle_onnx.values.report import UnlearnReport
from studies import results
from studies.plots import Course, draw_courses
from studies.strangers.run import Cell, unlearn_cell
from studies.strangers.table import STRANGERS

PICTURE = "strangers.svg"


class Subject(NamedTuple):
    """A class of a network of the development half."""

    network: str
    forgotten: int


# One that is easy, one with noisy steps, and one that does not forget within its drift bound
SUBJECTS = (
    Subject("plain-dropout", 0),
    Subject("depthwise-hard-swish", 0),
    Subject("numbers", 20),
)


def draw(cache: Path) -> None:
    """Forget a class of each network, and draw the course of training."""
    by_name = {stranger.name: stranger for stranger in STRANGERS}
    courses = {
        f"{name}, class {index}": trace(unlearn_cell(by_name[name], Cell(index, 0), cache))
        for name, index in SUBJECTS
    }
    results.RESULTS.mkdir(parents=True, exist_ok=True)
    draw_courses(courses, results.RESULTS / PICTURE)


def trace(report: UnlearnReport) -> Mapping[str, Course]:
    """Return what training measured and set in each step, with its limits."""
    points, method = report.trajectory, report.method
    return {
        "surest sample's margin": Course(
            [point.win_margin for point in points], -method["sure_margin"]
        ),
        "drift": Course(
            [point.drift for point in points[1:]], method["drift_bound"], is_logarithmic=True
        ),
        "weight of what is kept": Course([point.retain_weight for point in points]),
        "step size": Course([point.step_size for point in points], is_logarithmic=True),
    }
