"""The attacker's few labelled samples of each class."""

import numpy as np
import numpy.typing as npt

SAMPLES_PER_CLASS = 16


def choose_known(
    classes: npt.NDArray[np.int64], is_attack: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Return the indices of the attacker's first samples of each class."""
    return np.concatenate(
        [
            np.flatnonzero(is_attack & (classes == index))[:SAMPLES_PER_CLASS]
            for index in np.unique(classes)
        ]
    )
