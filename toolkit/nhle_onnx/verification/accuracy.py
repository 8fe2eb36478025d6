"""Acc_F and Acc_R, the paper's metrics, from predictions."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from nhle_onnx.errors import NotFiniteError
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.report import Accuracy
from nhle_onnx.values.request import ForgetRequest

REMEDY = "Check the model's weights and the preprocessing: nothing can be said of such answers."


def predict_classes(
    outputs: npt.NDArray[np.float32],
    *,
    first: int = 0,
    claimed: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.int64]:
    """Return the winning class of each output [N, K, ...]; messages count samples from `first`.

    Of equal scores the first wins, unless one of them is the sample's class in `claimed` [N] (-1
    for none): a device may break the tie another way. Where all are equal there is no tie to
    break: nothing was answered.

    Raises NotFiniteError where the best score is NaN or infinite: no class wins there. If that
    counted as a wrong answer, a broken model would pass for one that has forgotten.
    """
    scores = outputs.reshape(len(outputs), -1)
    best = scores.max(axis=1)  # NaN if any of them is
    bad = np.flatnonzero(~np.isfinite(best))
    if len(bad):
        message = f"its best score for sample {first + bad[0]} is {best[bad[0]]}: no class wins"
        raise NotFiniteError(message, remedy=REMEDY)
    winners: npt.NDArray[np.int64] = scores.argmax(axis=1)
    if claimed is not None:
        rows = np.flatnonzero(claimed >= 0)
        is_tied = (scores[rows, claimed[rows]] == best[rows]) & (scores[rows].min(1) < best[rows])
        ties = rows[is_tied]
        winners[ties] = claimed[ties]
    return winners


def claim_forgotten(
    classes: npt.NDArray[np.int64], request: ForgetRequest
) -> npt.NDArray[np.int64]:
    """Return the class of each sample [N] of a forgotten class, and -1 for all others."""
    return np.where(np.isin(classes, request.forget), classes, -1)


def count_hits(
    predictions: npt.NDArray[np.int64],
    classes: npt.NDArray[np.int64],
    num_classes: int,
    copies: npt.NDArray[np.int64] | None = None,
) -> ClassCounts:
    """Count correct predictions [N] for each of the classes [N]; `copies` [M] are the classes of
    samples that repeat an earlier one.
    """
    right, given, again = (
        tuple(np.bincount(chosen, minlength=num_classes).tolist())
        for chosen in (
            classes[predictions == classes],
            classes,
            classes[:0] if copies is None else copies,
        )
    )
    return ClassCounts(correct=right, total=given, copies=again)


def compute_accuracy(counts: ClassCounts, request: ForgetRequest) -> Accuracy:
    """Compute the accuracies of all counted samples."""

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
    """Compute the accuracies of predictions [N] of classes [N]."""
    return compute_accuracy(count_hits(predictions, classes, request.num_classes), request)


def subtract(after: float | None, before: float | None) -> float | None:
    """Return a difference where both were measured."""
    return None if after is None or before is None else after - before
