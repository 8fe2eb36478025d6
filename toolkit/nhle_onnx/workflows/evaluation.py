"""Choosing and decoding the samples on which a model is judged."""

from pathlib import Path

import numpy as np

from nhle_onnx.data.samples import EVALUATION_FILE, SampleSource, open_samples
from nhle_onnx.data.splits import Split
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.workflows.measure import Evaluation
from nhle_onnx.workflows.subject import Subject


def read_evaluation(path: Path, subject: Subject, request: ForgetRequest) -> Evaluation:
    """All samples of a folder or `.npz`; refused if none is of a forgotten class."""
    source = open_samples(path, subject.image_input, subject.preprocess, subject.labels)
    if not np.isin(source.classes, request.forget).any():
        message = f"{path} holds no sample of a forgotten class, so forgetting cannot be measured"
        raise InputRefusedError(message, remedy="Give data that include the forgotten classes.")
    return _read(source, range(len(source.classes)), str(path))


def choose_evaluation(
    given: Path | None, source: SampleSource, split: Split, subject: Subject, request: ForgetRequest
) -> tuple[Evaluation, tuple[str, ...]]:
    """The data given; else the sample folder's evaluation file; else samples not used for tuning;
    else, with a note, the tuning samples themselves.
    """
    beside = source.path / EVALUATION_FILE
    path = given or (beside if beside.is_file() else None)
    if path:
        return read_evaluation(path, subject, request), ()
    if np.isin(source.classes[list(split.rest)], request.forget).any():
        return _read(source, split.rest, f"{source.path}, samples not used for tuning"), ()
    note = (
        "judged on the samples that it was tuned on, for want of others: give --eval-data with "
        "images that the tool has not seen"
    )
    tuning = (*split.forget, *split.anchors)
    return _read(source, tuning, f"{source.path}, the tuning samples"), (note,)


def make_empty_evaluation(subject: Subject) -> Evaluation:
    """No samples at all."""
    shape = (0, *subject.image_input.sample_shape)
    return Evaluation(
        inputs=np.empty(shape, np.float32), classes=np.empty(0, np.int64), source="none"
    )


def _read(source: SampleSource, indices: range | tuple[int, ...], name: str) -> Evaluation:
    return Evaluation(
        inputs=source.read(indices), classes=source.classes[list(indices)], source=name
    )
