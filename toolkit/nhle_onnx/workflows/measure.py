"""Measuring models on evaluation samples, which are prepared once for all of them."""

import math
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from nhle_onnx.data.lanes import run_in_lanes
from nhle_onnx.data.source import SampleSource
from nhle_onnx.data.stream import stream_batches
from nhle_onnx.graph.subgraph import with_output
from nhle_onnx.runtime.session import Session, open_session
from nhle_onnx.values.cores import count_lanes
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.kernels import Kernels
from nhle_onnx.values.places import Provider, Runtime
from nhle_onnx.values.preprocess import ImageInput
from nhle_onnx.values.report import Accuracy
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.verification.accuracy import claim_forgotten, count_hits, predict_classes
from nhle_onnx.verification.finite import name_model
from nhle_onnx.workflows.classifier import Classifier

_SUSPICIOUS = 0.5
_FLOAT_BYTES = 4
_SMALL_BYTES = 2**22  # that a lane's batch of images may always hold
_REMEMBERED = 100_000  # images, so that memory does not grow with how many there are

OnBatch = Callable[[int, int], None]


def ignore_batch(done: int, total: int) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The samples at ascending `indices`, which are read each time they are measured.

    `is_tuning` says that these are the tuning samples, as there are no others.
    """

    samples: SampleSource
    indices: Sequence[int]
    source: str
    is_tuning: bool = False

    @property
    def classes(self) -> npt.NDArray[np.int64]:
        """The class of each sample, [N]."""
        return self.samples.classes[np.asarray(self.indices, np.int64)]

    def read(self, chosen: Sequence[int] | None = None) -> npt.NDArray[np.float32]:
        """Read samples by their place among `indices`, or all of them, as model inputs [N, ...]."""
        places = range(len(self.indices)) if chosen is None else chosen
        return self.samples.read([self.indices[place] for place in places])


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A session, the output that the model ships, the input that it takes, and what to call it. For
    `dropped` classes it has no outputs.
    """

    path: Path
    session: Session
    output: str
    target: ImageInput
    dropped: tuple[int, ...] = ()


def load_classifier(
    classifier: Classifier,
    provider: Provider,
    kernels: Kernels,
    proto: ModelProto | None = None,
    runtime: Runtime = "onnxruntime",
) -> LoadedModel:
    """Return a model ready to be measured, or `proto` in its place: another form of its graph."""
    return LoadedModel(
        path=classifier.model.path,
        session=open_session(
            with_output(proto or classifier.model.proto, classifier.head.output),
            provider,
            kernels,
            lanes=count_lanes(),
            runtime=runtime,
        ),
        output=classifier.head.output,
        target=classifier.image_input,
        dropped=classifier.dropped,
    )


def count_classes(
    models: Sequence[LoadedModel],
    evaluation: Evaluation,
    request: ForgetRequest,
    batch_size: int,
    on_batch: OnBatch = ignore_batch,
    left_out: Collection[int] = (),
) -> tuple[ClassCounts, ...]:
    """Count what each model gets right, class by class, in one pass over the samples.

    The counts of parts of the samples add up to those of all. `on_batch` hears how many samples are
    done, and how many there are. Images whose `digest_images` is in `left_out` do not count.
    """
    with ThreadPoolExecutor(1) as runner:
        counting = runner.submit(
            _count, models, evaluation, request, batch_size, on_batch, left_out
        )
        try:
            return counting.result()
        except BaseException:  # an interrupt, which ONNX Runtime would notice only after the batch
            for model in models:
                model.session.stop()
            raise


def digest_images(images: npt.NDArray[np.float32]) -> list[int]:
    """Return a number for the content of each image [N, ...], the same in this process alone."""
    return [hash(image.tobytes()) for image in images]


class _Copies:
    """Finds images that were counted before for the same class."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, int]] = set()

    def find(self, digests: Sequence[int], classes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Mark copies among the next images; only so many images are remembered."""
        found = []
        for shown in zip(digests, classes.tolist(), strict=True):
            found.append(shown in self._seen)
            if len(self._seen) < _REMEMBERED:
                self._seen.add(shown)
        return np.array(found, bool)


def _count(
    models: Sequence[LoadedModel],
    evaluation: Evaluation,
    request: ForgetRequest,
    batch_size: int,
    on_batch: OnBatch,
    left_out: Collection[int],
) -> tuple[ClassCounts, ...]:
    classes, copies = evaluation.classes, _Copies()
    counts = [count_hits(classes[:0], classes[:0], request.num_classes) for _ in models]
    lanes = min(model.session.lanes for model in models)
    size = _choose_size(models, batch_size, len(classes), lanes)

    def answer(first: int, inputs: npt.NDArray[np.float32]) -> _Answers:
        wanted = classes[first : first + len(inputs)]
        given = [_predict(model, inputs, wanted, request, first) for model in models]
        return _Answers(wanted, digest_images(inputs), given)

    batches = stream_batches(evaluation.samples, evaluation.indices, size, held=lanes + 1)
    places = range(0, len(classes), size)
    with closing(batches), closing(run_in_lanes(answer, places, batches, lanes)) as answered:
        for first, (wanted, digests, given) in zip(places, answered, strict=True):
            kept = np.array([digest not in left_out for digest in digests], bool)
            shown = [digests[index] for index in np.flatnonzero(kept)]
            is_copy = copies.find(shown, wanted[kept])
            for index, predicted in enumerate(given):
                counts[index] += count_hits(
                    predicted[kept], wanted[kept], request.num_classes, wanted[kept][is_copy]
                )
            on_batch(first + len(wanted), len(classes))
    return tuple(counts)


class _Answers(NamedTuple):
    """A batch's classes, its images' digests, and what each model says."""

    classes: npt.NDArray[np.int64]
    digests: list[int]
    given: list[npt.NDArray[np.int64]]


def _choose_size(models: Sequence[LoadedModel], batch_size: int, count: int, lanes: int) -> int:
    """Choose each lane's batch, so that all have work. Lanes share `batch_size`, so that memory
    does not grow with the cores; each takes more of small images, as starting a batch costs, too.
    If a graph fixes its batch size, a lane takes whole fixed ones.
    """
    fixed = max(model.target.batch or 1 for model in models)
    image_bytes = max(math.prod(model.target.sample_shape) for model in models) * _FLOAT_BYTES
    largest = min(batch_size, max(batch_size // lanes, _SMALL_BYTES // image_bytes))
    size = min(largest, math.ceil(count / lanes))
    return max(fixed, size - size % fixed)


def _predict(
    model: LoadedModel,
    inputs: npt.NDArray[np.float32],
    classes: npt.NDArray[np.int64],
    request: ForgetRequest,
    first: int,
) -> npt.NDArray[np.int64]:
    outputs = model.session.run(model.output, inputs, model.target, len(inputs))
    outputs = insert_dropped(outputs, model.dropped)
    with name_model(model.path):
        return predict_classes(outputs, first=first, claimed=claim_forgotten(classes, request))


def insert_dropped(
    outputs: npt.NDArray[np.float32], dropped: Sequence[int]
) -> npt.NDArray[np.float32]:
    """Insert scores that never win for classes without an output: [N, K - n] becomes [N, K]."""
    if not dropped:
        return outputs
    rows = outputs.reshape(len(outputs), -1)
    places = [index - position for position, index in enumerate(sorted(dropped))]
    wide: npt.NDArray[np.float32] = np.insert(rows, places, -np.inf, axis=1)
    return wide


def describe_suspicion(before: Accuracy) -> tuple[str, ...]:
    """Note that the model as given has a low accuracy: something is wrong before training."""
    known = [value for value in before.per_class if value is not None]
    mean = sum(known) / len(known) if known else 1.0
    if mean >= _SUSPICIOUS:
        return ()
    note = (
        f"the model as given gets only {mean:.3f} of the evaluation samples right (mean over "
        "classes): check the preprocessing and the labels before trusting any figure here"
    )
    return (note,)
