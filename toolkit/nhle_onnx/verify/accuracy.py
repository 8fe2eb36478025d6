"""Acc_F and Acc_R (METHOD: the paper's metrics), from predictions."""

import numpy as np
import numpy.typing as npt

from nhle_onnx.values.report import Accuracy
from nhle_onnx.values.request import ForgetRequest


def predict_classes(outputs: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """The winning class of each output [N, K, ...]; a row with NaN has none, which is -1."""
    scores = outputs.reshape(len(outputs), -1)
    return np.where(np.isnan(scores).any(axis=1), -1, scores.argmax(axis=1))


def measure_accuracy(
    predictions: npt.NDArray[np.int64], classes: npt.NDArray[np.int64], request: ForgetRequest
) -> Accuracy:
    """Accuracies of predictions [N] against classes [N]."""
    hits = predictions == classes
    return Accuracy(
        acc_f=_mean(hits[np.isin(classes, request.forget)]),
        acc_r=_mean(hits[np.isin(classes, request.retained)]),
        per_class=tuple(_mean(hits[classes == index]) for index in range(request.num_classes)),
    )


def _mean(hits: npt.NDArray[np.bool_]) -> float | None:
    return float(hits.mean()) if len(hits) else None
