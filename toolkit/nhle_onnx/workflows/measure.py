"""Measuring a model on evaluation samples."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from nhle_onnx.runtime import Provider, Session, open_session
from nhle_onnx.values.model import ClassifierHead
from nhle_onnx.values.preprocess import ImageInput
from nhle_onnx.values.report import Accuracy
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.verify.accuracy import measure_accuracy, predict_classes

_SUSPICIOUS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Prepared evaluation samples [N, ...] with their classes [N]."""

    inputs: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]
    source: str


def measure_session(
    session: Session,
    output: str,
    evaluation: Evaluation,
    target: ImageInput,
    request: ForgetRequest,
    batch_size: int,
) -> Accuracy:
    """Accuracies of a loaded model by the output that it ships."""
    if not len(evaluation.inputs):
        empty = np.empty(0, np.int64)
        return measure_accuracy(empty, empty, request)
    outputs = session.run(output, evaluation.inputs, target, batch_size)
    return measure_accuracy(predict_classes(outputs), evaluation.classes, request)


def measure_model(
    model: ModelProto,
    head: ClassifierHead,
    evaluation: Evaluation,
    target: ImageInput,
    request: ForgetRequest,
    *,
    provider: Provider,
    batch_size: int,
) -> Accuracy:
    """Accuracies of a model that is not loaded yet."""
    session = open_session(model, provider)
    return measure_session(session, head.output, evaluation, target, request, batch_size)


def subtract(after: float | None, before: float | None) -> float | None:
    """A difference, where both were measured."""
    return None if after is None or before is None else after - before


def describe_suspicion(before: Accuracy) -> tuple[str, ...]:
    """A note where the untouched model does badly: something is wrong before we begin."""
    known = [value for value in before.per_class if value is not None]
    mean = sum(known) / len(known) if known else 1.0
    if mean >= _SUSPICIOUS:
        return ()
    note = (
        f"the model as given gets only {mean:.3f} of the evaluation samples right (mean over "
        "classes): check the preprocessing and the labels before trusting any figure here"
    )
    return (note,)
