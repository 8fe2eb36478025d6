"""Choosing the samples on which a model is judged."""

from pathlib import Path

import numpy as np

from nhle_onnx.data.samples import EVALUATION_FILE, open_nothing, open_samples
from nhle_onnx.data.source import SampleSource
from nhle_onnx.data.splits import Split
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.workflows.classifier import Classifier
from nhle_onnx.workflows.measure import Evaluation


def read_evaluation(path: Path, classifier: Classifier) -> Evaluation:
    """Read all samples of a folder or `.npz`."""
    source = open_samples(path, classifier.image_input, classifier.preprocess, classifier.labels)
    return Evaluation(samples=source, indices=range(len(source.classes)), source=str(path))


def choose_evaluation(
    given: Path | None,
    source: SampleSource,
    split: Split,
    classifier: Classifier,
    request: ForgetRequest,
) -> Evaluation:
    """Choose the data given; else the sample folder's evaluation file; else samples not used for
    tuning; else the tuning samples themselves, which cannot carry a verdict.
    """
    beside = source.path / EVALUATION_FILE
    path = given or (beside if beside.is_file() else None)
    if path:
        return read_evaluation(path, classifier)
    if np.isin(source.classes[list(split.rest)], request.forget).any():
        rest = f"{source.path}, samples not used for tuning"
        return Evaluation(samples=source, indices=split.rest, source=rest)
    tuning = tuple(sorted((*split.forget, *split.anchors)))
    name = f"{source.path}, the tuning samples"
    return Evaluation(samples=source, indices=tuning, source=name, is_tuning=True)


def make_empty_evaluation(classifier: Classifier) -> Evaluation:
    """No samples at all."""
    return Evaluation(samples=open_nothing(classifier.image_input), indices=(), source="none")
