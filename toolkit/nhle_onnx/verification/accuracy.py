"""Acc_F and Acc_R (METHOD: the paper's metrics), from predictions."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from nhle_onnx.errors import NotFiniteError
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.report import Accuracy
from nhle_onnx.values.request import ForgetRequest

_REMEDY = "Check the model's weights and the preprocessing: nothing can be said of such answers."


def predict_classes(outputs: npt.NDArray[np.float32], *, first: int = 0) -> npt.NDArray[np.int64]:
    """The winning class of each output [N, K, ...], of samples that are counted from `first`.

    Raises NotFiniteError where the best score is NaN or infinite: no class wins there, and taking
    that for a wrong answer would pass a broken model off as one that has forgotten.
    """
    scores = outputs.reshape(len(outputs), -1)
    best = scores.max(axis=1)  # NaN if any of them is
    bad = np.flatnonzero(~np.isfinite(best))
    if len(bad):
        message = f"its best score for sample {first + bad[0]} is {best[bad[0]]}: no class wins"
        raise NotFiniteError(message, remedy=_REMEDY)
    winners: npt.NDArray[np.int64] = scores.argmax(axis=1)
    return winners


def count_hits(
    predictions: npt.NDArray[np.int64], classes: npt.NDArray[np.int64], num_classes: int
) -> ClassCounts:
    """Predictions [N] against classes [N], class by class."""
    hits = classes[predictions == classes]
    return ClassCounts(
        correct=tuple(np.bincount(hits, minlength=num_classes).tolist()),
        total=tuple(np.bincount(classes, minlength=num_classes).tolist()),
    )


def compute_accuracy(counts: ClassCounts, request: ForgetRequest) -> Accuracy:
    """Accuracies of all samples that were counted."""

    def measure(classes: Iterable[int]) -> float | None:
        chosen = tuple(classes)
        total = sum(counts.total[index] for index in chosen)
        return sum(counts.correct[index] for index in chosen) / total if total else None

    return Accuracy(
        acc_f=measure(request.forget),
        acc_r=measure(request.retained),
        per_class=tuple(measure((index,)) for index in range(request.num_classes)),
    )


def measure_accuracy(
    predictions: npt.NDArray[np.int64], classes: npt.NDArray[np.int64], request: ForgetRequest
) -> Accuracy:
    """Accuracies of predictions [N] against classes [N]."""
    return compute_accuracy(count_hits(predictions, classes, request.num_classes), request)
