"""Whether a model tells classes apart at all; if not, it has nothing to forget."""

from collections.abc import Sequence

import numpy as np

MIN_SKILL = 0.05


def measure_skill(per_class: Sequence[float | None]) -> float | None:
    """Measure how well a model tells classes apart: 1 if it is always right, 0 if it gives all
    samples one class or guesses; None if there are samples of fewer than two classes.
    """
    known = [value for value in per_class if value is not None]
    if len(known) < 2:  # noqa: PLR2004 - as the docstring says
        return None
    chance = 1 / len(known)
    return float((np.mean(known) - chance) / (1 - chance))
