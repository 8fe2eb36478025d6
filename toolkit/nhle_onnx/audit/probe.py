"""Linear probe: a new head, trained on labelled samples of all classes (METHOD §4)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nhle_onnx.audit.regression import fit_regression


def probe_hits(
    features: npt.NDArray[np.floating],
    classes: npt.NDArray[np.int64],
    is_attack: npt.NDArray[np.bool_],
    forgotten: Sequence[int],
) -> npt.NDArray[np.bool_]:
    """For each judging sample of a forgotten class, whether the probe recognises it.

    The probe is trained on the attacker's samples, features [N, D] of `classes` [N].
    """
    known, numbers = np.unique(classes[is_attack], return_inverse=True)
    regression = fit_regression(features[is_attack], numbers.astype(np.int64), len(known))
    judged = ~is_attack & np.isin(classes, list(forgotten))
    found: npt.NDArray[np.bool_] = (
        known[regression.score(features[judged]).argmax(1)] == classes[judged]
    )
    return found
