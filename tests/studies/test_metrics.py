"""The paper's metrics, against the same written with scikit-learn and SciPy."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import accuracy_score
from sklearn.neighbors import NearestCentroid

from studies.metrics import measure_accuracy, measure_separability


def draw_labels(seed: int, count: int = 200) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 5, count)


@pytest.mark.parametrize("forgotten", [(0,), (1, 3)])
def test_separability_is_that_of_nearest_centroids(forgotten: tuple[int, ...]) -> None:
    labels = draw_labels(0)
    features = np.random.default_rng(1).normal(size=(200, 7)) + labels[:, None]
    centroids = NearestCentroid().fit(features, labels).centroids_
    kept = [index for index in range(5) if index not in forgotten]
    inter = cdist(centroids[list(forgotten)], centroids[kept]).mean()
    intra = np.mean(
        [cdist(features[labels == index], centroids[[index]]).mean() for index in forgotten]
    )
    measured = measure_separability(features.astype(np.float32), labels, forgotten)
    assert measured == pytest.approx((inter, intra, inter / intra), rel=1e-5)


def test_a_class_that_dissolves_has_a_smaller_ratio() -> None:
    generator = np.random.default_rng(0)
    labels = draw_labels(2)
    features = generator.normal(size=(200, 4)) + 5 * np.eye(5)[labels] @ generator.normal(
        size=(5, 4)
    )
    dissolved = features.copy()
    dissolved[labels == 0] = 3 * generator.normal(size=(int((labels == 0).sum()), 4))
    before, after = (measure_separability(points, labels, (0,)) for points in (features, dissolved))
    assert after.ratio < before.ratio
    assert after.intra > before.intra


def test_features_that_are_not_finite_have_no_distances() -> None:
    features = np.ones((4, 2), np.float32)
    features[0] = np.inf
    assert np.isnan(measure_separability(features, np.array([0, 0, 1, 1]), (0,)).ratio)


def test_accuracy_is_split_by_class() -> None:
    labels, predictions = draw_labels(3), draw_labels(4)
    is_forgotten = np.isin(labels, [0, 4])
    measured = measure_accuracy(predictions, labels, (0, 4))
    assert measured.acc_f == accuracy_score(labels[is_forgotten], predictions[is_forgotten])
    assert measured.acc_r == accuracy_score(labels[~is_forgotten], predictions[~is_forgotten])
