"""Choosing the samples on which a model is judged."""

from pathlib import Path

import numpy as np

from nhle_onnx.data.samples import EVALUATION_FILE, open_nothing, open_samples
from nhle_onnx.data.source import SampleSource
from nhle_onnx.data.splits import Split
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.hints import hint
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.workflows.classifier import Classifier
from nhle_onnx.workflows.measure import Evaluation


def read_evaluation(path: Path, classifier: Classifier, request: ForgetRequest) -> Evaluation:
    """All samples of a folder or `.npz`; refused if none is of a forgotten class."""
    source = open_samples(path, classifier.image_input, classifier.preprocess, classifier.labels)
    check_measurable(path, is_measurable=bool(np.isin(source.classes, request.forget).any()))
    return Evaluation(samples=source, indices=range(len(source.classes)), source=str(path))


def check_measurable(path: Path, *, is_measurable: bool) -> None:
    """Raise InputRefusedError where no sample is of a forgotten class."""
    if not is_measurable:
        message = f"{path} holds no sample of a forgotten class, so forgetting cannot be measured"
        raise InputRefusedError(message, remedy="Give data that include the forgotten classes.")


def choose_evaluation(
    given: Path | None,
    source: SampleSource,
    split: Split,
    classifier: Classifier,
    request: ForgetRequest,
) -> tuple[Evaluation, tuple[str, ...]]:
    """The data given; else the sample folder's evaluation file; else samples not used for tuning;
    else, with a note, the tuning samples themselves.
    """
    beside = source.path / EVALUATION_FILE
    path = given or (beside if beside.is_file() else None)
    if path:
        return read_evaluation(path, classifier, request), ()
    if np.isin(source.classes[list(split.rest)], request.forget).any():
        rest = f"{source.path}, samples not used for tuning"
        return Evaluation(samples=source, indices=split.rest, source=rest), ()
    note = hint(
        "judged on the samples that it was tuned on, for want of others: give {eval_data} with "
        "images that the tool has not seen"
    )
    tuning = tuple(sorted((*split.forget, *split.anchors)))
    name = f"{source.path}, the tuning samples"
    return Evaluation(samples=source, indices=tuning, source=name), (note,)


def make_empty_evaluation(classifier: Classifier) -> Evaluation:
    """No samples at all."""
    return Evaluation(samples=open_nothing(classifier.image_input), indices=(), source="none")
