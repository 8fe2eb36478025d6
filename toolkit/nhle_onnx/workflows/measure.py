"""Measuring models on evaluation samples, which are prepared once for all of them."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from nhle_onnx.data.source import SampleSource
from nhle_onnx.data.stream import stream_batches
from nhle_onnx.hints import hint
from nhle_onnx.runtime.kernels import SATURATION
from nhle_onnx.runtime.session import Session, open_session
from nhle_onnx.text import format_number
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.kernels import Kernels
from nhle_onnx.values.places import Provider
from nhle_onnx.values.preprocess import ImageInput
from nhle_onnx.values.report import Accuracy, OtherKernels
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.verification.accuracy import compute_accuracy, count_hits, predict_classes
from nhle_onnx.verification.finite import name_model
from nhle_onnx.workflows.classifier import Classifier

_SUSPICIOUS = 0.5

OnBatch = Callable[[int, int], None]


def ignore_batch(done: int, total: int) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The samples at ascending `indices`, which are read each time they are measured."""

    samples: SampleSource
    indices: Sequence[int]
    source: str

    @property
    def classes(self) -> npt.NDArray[np.int64]:
        """The class of each sample, [N]."""
        return self.samples.classes[np.asarray(self.indices, np.int64)]

    def read(self, chosen: Sequence[int] | None = None) -> npt.NDArray[np.float32]:
        """Samples by their place among `indices`, or all of them, as model inputs [N, ...]."""
        places = range(len(self.indices)) if chosen is None else chosen
        return self.samples.read([self.indices[place] for place in places])


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A session, the output that the model ships, the input that it takes, and what to call it."""

    path: Path
    session: Session
    output: str
    target: ImageInput


def load_classifier(
    classifier: Classifier, provider: Provider, kernels: Kernels, proto: ModelProto | None = None
) -> LoadedModel:
    """A model ready to be measured, or `proto` in its place: another form of the same graph."""
    return LoadedModel(
        path=classifier.model.path,
        session=open_session(proto or classifier.model.proto, provider, kernels),
        output=classifier.head.output,
        target=classifier.image_input,
    )


def count_classes(
    models: Sequence[LoadedModel],
    evaluation: Evaluation,
    num_classes: int,
    batch_size: int,
    on_batch: OnBatch = ignore_batch,
) -> tuple[ClassCounts, ...]:
    """What each model gets right, class by class, in one pass over the samples.

    The counts of parts of the samples add up to those of all. `on_batch` hears how many samples
    are done, and how many there are.
    """
    with ThreadPoolExecutor(1) as runner:
        counting = runner.submit(_count, models, evaluation, num_classes, batch_size, on_batch)
        try:
            return counting.result()
        except BaseException:  # an interrupt, which ONNX Runtime would hear after its batch alone
            for model in models:
                model.session.stop()
            raise


def measure_models(
    models: Sequence[LoadedModel],
    evaluation: Evaluation,
    request: ForgetRequest,
    batch_size: int,
    on_batch: OnBatch = ignore_batch,
) -> tuple[Accuracy, ...]:
    """Accuracies of loaded models, in one pass over the samples."""
    counts = count_classes(models, evaluation, request.num_classes, batch_size, on_batch)
    return tuple(compute_accuracy(count, request) for count in counts)


def _count(
    models: Sequence[LoadedModel],
    evaluation: Evaluation,
    num_classes: int,
    batch_size: int,
    on_batch: OnBatch,
) -> tuple[ClassCounts, ...]:
    classes = evaluation.classes
    counts = [count_hits(classes[:0], classes[:0], num_classes) for _ in models]
    fixed = max(model.target.batch or 1 for model in models)
    size = max(fixed, batch_size - batch_size % fixed)
    done = 0
    with closing(stream_batches(evaluation.samples, evaluation.indices, size)) as batches:
        for inputs in batches:
            batch = slice(done, done + len(inputs))
            for index, model in enumerate(models):
                outputs = model.session.run(model.output, inputs, model.target, size)
                with name_model(model.path):
                    predictions = predict_classes(outputs, first=done)
                counts[index] += count_hits(predictions, classes[batch], num_classes)
            done = batch.stop
            on_batch(done, len(classes))
    return tuple(counts)


def subtract(after: float | None, before: float | None) -> float | None:
    """A difference, where both were measured."""
    return None if after is None or before is None else after - before


def name_other(kernels: Kernels) -> Kernels:
    """The kernels that were not asked for."""
    return "default" if kernels == "exact" else "exact"


def compare_kernels(
    kernels: Kernels, judged: Mapping[str, Accuracy], others: Mapping[str, Accuracy]
) -> OtherKernels | None:
    """What the kernels found that did not judge; None where it is the same, or was not measured.

    `judged` and `others` are accuracies by the names that the report has for them.
    """
    if all(judged[name] == accuracy for name, accuracy in others.items()):
        return None
    return OtherKernels(kernels=name_other(kernels), accuracies=dict(others), reason=SATURATION)


def describe_kernels(other: OtherKernels | None) -> tuple[str, ...]:
    """A note on what the kernels found that did not judge."""
    if other is None:
        return ()
    figures = "; ".join(
        f"{name} Acc_F {format_number(accuracy.acc_f)}, Acc_R {format_number(accuracy.acc_r)}"
        for name, accuracy in other.accuracies.items()
    )
    found = f"with {{kernels={other.kernels}}} this machine finds {figures}: {other.reason}"
    return (hint(found),)


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
