"""What the answers alone reveal: which class was forgotten."""

import numpy as np
import numpy.typing as npt

from nhle_onnx.auditing.attacks.divergence import to_probabilities
from nhle_onnx.auditing.context import AuditContext, Target
from nhle_onnx.auditing.measures import make_measure, measure_each
from nhle_onnx.values.audit import Measure


def guess_from_outputs(scores: npt.NDArray[np.float32], count: int) -> tuple[int, ...]:
    """Return the `count` classes that are answered least: the guess of someone who has images of
    all classes, without labels. Of classes that are never answered, the one whose highest
    probability is lowest comes first.
    """
    answered = np.bincount(scores.argmax(1), minlength=scores.shape[1])
    nearest = to_probabilities(scores).max(0)
    order = np.lexsort((nearest, answered))
    return tuple(sorted(int(index) for index in order[:count]))


def attack_outputs(context: AuditContext) -> tuple[Measure, ...]:
    """Guess which class was forgotten from answers to the attacker's images."""

    def guess(target: Target) -> float:
        scores = target.answers.scores[context.is_attack]
        return float(guess_from_outputs(scores, len(context.forgotten)) == context.forgotten)

    title = "the class can be guessed from the answers to unlabelled images"
    return (make_measure("outputs", "guessed", title, measure_each(context, guess), places=False),)
