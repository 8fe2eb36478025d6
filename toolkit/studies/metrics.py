"""The paper's metrics, as pure functions of features, predictions and labels.

Source: Wang et al., Scientific Reports 16, 11879 (2026), experimental set-up. The paper does not
say which norm, or over which samples: here it is Euclidean, between centroids of all samples given.
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Features = npt.NDArray[np.floating]
Labels = npt.NDArray[np.int64]


class Accuracy(NamedTuple):
    """Accuracy on the forgotten and on the retained classes, as fractions."""

    acc_f: float
    acc_r: float


class Separability(NamedTuple):
    """D_inter, D_intra and Ratio_D = D_inter / D_intra; NaN where features are not finite."""

    inter: float
    intra: float
    ratio: float


def measure_accuracy(predictions: Labels, labels: Labels, forgotten: Collection[int]) -> Accuracy:
    """Measure Acc_F and Acc_R of predictions [N]."""
    is_hit = predictions == labels
    is_forgotten = np.isin(labels, list(forgotten))
    return Accuracy(float(is_hit[is_forgotten].mean()), float(is_hit[~is_forgotten].mean()))


def measure_separability(
    features: Features, labels: Labels, forgotten: Collection[int]
) -> Separability:
    """Measure how far the forgotten classes stand from the others in feature space [N, D].

    D_inter: mean distance of a forgotten class's centroid to the retained centroids. D_intra: mean
    distance of its samples to their centroid. Means over the forgotten classes, if several.
    """
    wide = features.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        centroids = {int(label): wide[labels == label].mean(axis=0) for label in np.unique(labels)}
        retained = np.stack([value for label, value in centroids.items() if label not in forgotten])
        inter = np.mean([_measure_distances(retained, centroids[label]) for label in forgotten])
        intra = np.mean(
            [
                _measure_distances(wide[labels == label], centroids[label]).mean()
                for label in forgotten
            ]
        )
        return Separability(float(inter), float(intra), float(inter / intra))


def _measure_distances(points: Features, centre: Features) -> Features:
    distances: Features = np.linalg.norm(points - centre, axis=1)
    return distances
