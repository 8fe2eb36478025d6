"""Damage near the class: retained samples that the original nearly takes for it."""

import numpy as np
import numpy.typing as npt

from nhle_onnx.auditing.attacks.divergence import to_probabilities
from nhle_onnx.auditing.context import AuditContext, CannotRunError
from nhle_onnx.auditing.measures import make_measure, measure_each
from nhle_onnx.text import format_percent
from nhle_onnx.values.audit import Measure

SHARE = 0.1  # of the retained samples: those nearest to the class
_FEWEST = 20


def find_neighbours(context: AuditContext) -> npt.NDArray[np.int64]:
    """Find the retained samples to which the original gives the class the highest chance, though
    another class wins.
    """
    scores = context.targets["original"].answers.scores
    forgotten = list(context.forgotten)
    is_kept = ~context.is_forgotten & ~np.isin(scores.argmax(1), forgotten)
    chances = to_probabilities(scores)[:, forgotten].max(1)
    kept = np.flatnonzero(is_kept)
    count = max(_FEWEST, round(SHARE * len(kept)))
    return kept[np.argsort(-chances[kept], kind="stable")[:count]]


def measure_neighbours(context: AuditContext) -> tuple[Measure, ...]:
    """Measure the accuracy on retained samples nearest to the class."""
    chosen = find_neighbours(context)
    if len(chosen) < _FEWEST:
        raise CannotRunError(f"it needs {_FEWEST} retained samples, and there are {len(chosen)}")
    classes = context.classes[chosen]
    title = (
        f"accuracy on the {format_percent(SHARE)} of retained samples that are nearest to the class"
    )
    values = measure_each(
        context, lambda target: float((target.answers.scores[chosen].argmax(1) == classes).mean())
    )
    return (make_measure("neighbours", "acc_r", title, values, places=False),)
