"""Whether a model tells classes apart at all: one that does not has nothing to forget."""

from collections.abc import Sequence

import numpy as np

MIN_SKILL = 0.05


def measure_skill(per_class: Sequence[float | None]) -> float | None:
    """How well a model tells classes apart: 1 where it is always right, 0 where it answers all
    samples with one class or by chance; None where samples of fewer than two classes say so.
    """
    known = [value for value in per_class if value is not None]
    if len(known) < 2:  # noqa: PLR2004 - as the docstring says
        return None
    chance = 1 / len(known)
    return float((np.mean(known) - chance) / (1 - chance))
