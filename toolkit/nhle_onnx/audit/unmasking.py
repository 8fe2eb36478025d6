"""Unmasking: a head that knows the class, put on the edited network (METHOD §4)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nhle_onnx.audit.head_rows import HeadRows

SAMPLES_PER_CLASS = 16  # that the attacker holds of the forgotten class


def rebuild_rows(
    rows: HeadRows,
    features: npt.NDArray[np.floating],
    classes: npt.NDArray[np.int64],
    forgotten: Sequence[int],
) -> HeadRows:
    """The head with each forgotten class's row imprinted: the mean of its samples' features
    [N, D], as long as a retained row is on average (Qi et al., CVPR 2018), and its bias theirs.

    The samples' mean over all classes is taken off first: it tells no class from another.
    """
    kept = [index for index in range(len(rows.bias)) if index not in forgotten]
    length = np.linalg.norm(rows.weight[kept], axis=1).mean()
    centre = features.astype(np.float64).mean(0)
    weight, bias = rows.weight.copy(), rows.bias.copy()
    for index in forgotten:
        mean = features[classes == index].astype(np.float64).mean(0)
        direction = mean - centre
        weight[index] = direction * length / max(float(np.linalg.norm(direction)), 1e-12)
        # its samples' mean gets the score that retained samples' own classes get at theirs
        bias[index] = _measure_own_score(rows, features, classes, kept) - mean @ weight[index]
    return HeadRows(weight, bias)


def _measure_own_score(
    rows: HeadRows,
    features: npt.NDArray[np.floating],
    classes: npt.NDArray[np.int64],
    kept: Sequence[int],
) -> float:
    """The mean, over retained classes, of the score of a class at its samples' mean."""
    scores = [
        features[classes == index].mean(0) @ rows.weight[index] + rows.bias[index]
        for index in kept
        if (classes == index).any()
    ]
    return float(np.mean(scores)) if scores else 0.0
