"""How far the forgotten classes stand from the others in feature space (Wang et al. 2026)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nhle_onnx.auditing.context import AuditContext
from nhle_onnx.auditing.measures import make_measure
from nhle_onnx.values.audit import Measure


class Separability(NamedTuple):
    """Mean Euclidean distances.

    `inter`: from a forgotten class's centroid to the retained classes' centroids. `intra`: from its
    samples to their centroid. `ratio` = inter / intra.
    """

    inter: float
    intra: float
    ratio: float


def measure_separability(
    features: npt.NDArray[np.floating],
    classes: npt.NDArray[np.int64],
    forgotten: Sequence[int],
) -> Separability:
    """Measure features [N, D] of samples of `classes` [N], averaged over the forgotten classes."""
    wide = features.astype(np.float64)
    centroids = {int(index): wide[classes == index].mean(0) for index in np.unique(classes)}
    retained = np.stack([centre for index, centre in centroids.items() if index not in forgotten])
    inter = np.mean([np.linalg.norm(retained - centroids[index], axis=1) for index in forgotten])
    intra = np.mean(
        [
            np.linalg.norm(wide[classes == index] - centroids[index], axis=1).mean()
            for index in forgotten
        ]
    )
    return Separability(float(inter), float(intra), float(inter / max(intra, 1e-12)))


def compare_features(context: AuditContext) -> tuple[Measure, ...]:
    """Measure how far the forgotten classes stand from the others."""
    found = {
        role: measure_separability(target.answers.features, context.classes, context.forgotten)
        for role, target in context.targets.items()
    }
    titles = {
        "inter": "distance to the retained classes' centroids (D_inter)",
        "intra": "distance to its own centroid (D_intra)",
        "ratio": "separability, D_inter / D_intra",
    }
    return tuple(
        make_measure(
            "separability",
            name,
            title,
            {role: getattr(value, name) for role, value in found.items()},
        )
        for name, title in titles.items()
    )
