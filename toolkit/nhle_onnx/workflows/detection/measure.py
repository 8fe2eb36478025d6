"""What detectors detect in images with boxes, and how precisely."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from nhle_onnx.data.boxes.scenes import SceneSource
from nhle_onnx.detection.overlap import measure_iou
from nhle_onnx.detection.reading import Answers, list_detections, read_answers
from nhle_onnx.graph.subgraph import expose_tensors
from nhle_onnx.runtime.session import Session, open_session
from nhle_onnx.values.boxes import Boxes
from nhle_onnx.values.detection import Precision
from nhle_onnx.values.kernels import Kernels
from nhle_onnx.values.places import Provider
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.verification.average_precision import measure_precision
from nhle_onnx.workflows.detection.subject import Subject

SHOWN_SCORE = 0.05  # of a detection that people would see
SHOWN_OVERLAP = 0.5  # of a detection with an object
_PIECE = 32  # images at once

OnBatch = Callable[[int, int], None]


class Reader(NamedTuple):
    """A detector in a session that gives its tensors of boxes and scores."""

    subject: Subject
    session: Session

    def read(self, images: np.ndarray, size: int) -> Answers:
        """Run it on images [N, ...], so many at once."""
        detector = self.subject.detector
        names = (detector.boxes.name, detector.scores.name)
        boxes, scores = self.session.run_several(names, images, self.subject.image_input, size)
        return read_answers(detector, boxes, scores, self.subject.extents)


def open_reader(
    subject: Subject, provider: Provider, kernels: Kernels, proto: ModelProto | None = None
) -> Reader:
    """Open a session for the model, or for an edited form of it."""
    names = dict.fromkeys((subject.detector.boxes.name, subject.detector.scores.name))
    exposed = expose_tensors(proto or subject.model.proto, *names)
    return Reader(subject, open_session(exposed, provider, kernels))


def detect(
    readers: Sequence[Reader], source: SceneSource, on_batch: OnBatch
) -> list[list[Answers]]:
    """Run detectors on all images of a source: for each detector, the answers in pieces."""
    answers: list[list[Answers]] = [[] for _ in readers]
    total = len(source.boxes)
    for start in range(0, total, _PIECE):
        piece = range(start, min(start + _PIECE, total))
        images = source.choose(piece).read()
        for found, reader in zip(answers, readers, strict=True):
            found.append(reader.read(images, _PIECE))
        on_batch(piece.stop, total)
    return answers


def judge(
    subject: Subject, answers: Sequence[Answers], truth: Sequence[Boxes], request: ForgetRequest
) -> Precision:
    """Measure the average precision of each class, and of the forgotten ones at each scale."""
    found = _list_all(answers)
    curves = [measure_precision(found, truth, index) for index in range(request.num_classes)]
    mean = [None if curve is None else float(curve.mean()) for curve in curves]
    objects, detected = count_detected(found, truth, request)
    return Precision(
        ap_f=_average([mean[index] for index in request.forget]),
        map_r=_average([mean[index] for index in request.retained]),
        per_class=tuple(mean),
        per_class_50=tuple(None if curve is None else float(curve[0]) for curve in curves),
        by_scale=_measure_scales(subject, answers, truth, request),
        objects=objects,
        detected=detected,
    )


def rate(
    answers: Sequence[Answers], truth: Sequence[Boxes], request: ForgetRequest
) -> float | None:
    """Return the average precision of the forgotten classes alone."""
    found = _list_all(answers)
    curves = [measure_precision(found, truth, index) for index in request.forget]
    return _average([None if curve is None else float(curve.mean()) for curve in curves])


def count_detected(
    found: Sequence[Boxes], truth: Sequence[Boxes], request: ForgetRequest
) -> tuple[int, int]:
    """Count the objects of forgotten classes, and those that are detected as what they are."""
    wanted = [given.choose(np.isin(given.classes, request.forget)) for given in truth]
    detected = sum(
        int(find_detected(ours, given).sum()) for ours, given in zip(found, wanted, strict=True)
    )
    return sum(len(given.classes) for given in wanted), detected


def find_detected(ours: Boxes, given: Boxes) -> npt.NDArray[np.bool_]:
    """Say for each true box whether a box of its class that people would see overlaps it."""
    is_seen = (ours.scores >= SHOWN_SCORE) & (given.classes[:, None] == ours.classes)
    overlaps = measure_iou(given.corners, ours.corners) >= SHOWN_OVERLAP
    found: npt.NDArray[np.bool_] = (is_seen & overlaps).any(1)
    return found


def _measure_scales(
    subject: Subject, answers: Sequence[Answers], truth: Sequence[Boxes], request: ForgetRequest
) -> dict[str, float | None]:
    places: dict[str, list[slice]] = {}
    for layer in subject.detector.layers:
        places.setdefault(name_scale(layer.extents), []).append(layer.anchors)
    return {
        name: _average(
            [
                None if curve is None else float(curve.mean())
                for index in request.forget
                for curve in [measure_precision(_list_some(answers, slices, index), truth, index)]
            ]
        )
        for name, slices in places.items()
    }


def name_scale(extents: Sequence[int]) -> str:
    """Name a scale by its rows and columns, or by how many queries it has."""
    return "x".join(map(str, extents))


def _list_all(answers: Sequence[Answers]) -> list[Boxes]:
    return [boxes for piece in answers for boxes in list_detections(piece)]


def _list_some(answers: Sequence[Answers], slices: Sequence[slice], index: int) -> list[Boxes]:
    """List detections of one class at some anchors alone."""
    found = []
    for piece in answers:
        anchors = np.concatenate([np.arange(piece.boxes.shape[1])[each] for each in slices])
        scores = np.zeros_like(piece.scores[:, anchors])
        scores[..., index] = piece.scores[:, anchors, index]
        found += list_detections(Answers(piece.boxes[:, anchors], scores))
    return found


def _average(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
