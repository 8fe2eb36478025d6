"""What the weights alone reveal: that a class was masked, and which."""

import numpy as np
import numpy.typing as npt

from nhle_onnx.auditing.context import AuditContext
from nhle_onnx.auditing.measures import make_measure, measure_each
from nhle_onnx.graph.head.head import HeadRows
from nhle_onnx.values.audit import Measure

_TO_SIGMA = 1.4826  # median absolute deviation of a normal distribution, in standard deviations
_FARTHEST = 1e6  # a floor mask lies farther out than this, which says enough


def measure_outliers(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how many robust standard deviations each value lies from the others' median, [K]."""
    found = np.empty(len(values))
    for index, value in enumerate(values):
        others = np.delete(values, index)
        middle = np.median(others)
        spread = _TO_SIGMA * np.median(np.abs(others - middle))
        distance = abs(value - middle)
        found[index] = distance / spread if spread > 0 else np.inf if distance else 0.0
    return found.clip(max=_FARTHEST)


def measure_suspicion(rows: HeadRows) -> npt.NDArray[np.float64]:
    """Return how conspicuous each class is, [K]: the maximum over row length and bias."""
    lengths = np.linalg.norm(rows.weight, axis=1)
    return np.maximum(measure_outliers(lengths), measure_outliers(rows.bias))


def guess_forgotten(rows: HeadRows, count: int) -> tuple[int, ...]:
    """Return the `count` most conspicuous classes: the guess of someone with the file."""
    order = np.argsort(-measure_suspicion(rows), kind="stable")
    return tuple(sorted(int(index) for index in order[:count]))


def look_for_traces(context: AuditContext) -> tuple[Measure, ...]:
    """Measure whether the weights alone reveal that a class was masked, and which."""
    forgotten = list(context.forgotten)
    suspicion = measure_each(
        context, lambda target: float(measure_suspicion(target.head.rows)[forgotten].max())
    )
    guessed = measure_each(
        context,
        lambda target: float(
            guess_forgotten(target.head.rows, len(forgotten)) == context.forgotten
        ),
    )
    return (
        make_measure(
            "traces",
            "outlier",
            "how far its row or bias stands out (robust sd)",
            suspicion,
            places=False,
        ),
        make_measure(
            "traces",
            "guessed",
            "the class can be guessed from the head's weights",
            guessed,
            places=False,
        ),
    )
