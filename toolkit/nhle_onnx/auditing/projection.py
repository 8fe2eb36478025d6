"""Features in two dimensions, for a picture."""

import numpy as np
import numpy.typing as npt

from nhle_onnx.auditing.context import AuditContext
from nhle_onnx.values.audit import Projection

_PLOTTED = 600  # samples in the picture of the features


def project_features(context: AuditContext) -> Projection:
    """Project some samples' features on the two directions in which they vary most (PCA)."""
    rng = np.random.default_rng(context.seed)
    chosen = np.sort(rng.permutation(len(context.classes))[:_PLOTTED])
    return Projection(
        classes=context.classes[chosen],
        points={
            role: _project(target.answers.features[chosen].astype(np.float64))
            for role, target in context.targets.items()
        },
    )


def _project(features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return principal components [N, 2] of features [N, D]. Each component's largest loading is
    positive, so the same features give the same picture.
    """
    centred = features - features.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = (
        axes[:2] * np.sign(axes[:2][np.arange(len(axes[:2])), np.abs(axes[:2]).argmax(1)])[:, None]
    )
    points = centred @ axes.T
    padded: npt.NDArray[np.float64] = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    return padded
