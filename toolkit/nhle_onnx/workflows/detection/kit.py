"""kit of a detector: images, and which of their objects it detects. Never imports torch."""

import base64

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from nhle_onnx.data.boxes.scenes import SceneSource
from nhle_onnx.data.labels import parse_request
from nhle_onnx.detection.reading import MOST, OVERLAP, list_detections, read_answers
from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.save import check_writable
from nhle_onnx.release.kit.picking import pick_images
from nhle_onnx.values.boxes import Boxes, make_boxes
from nhle_onnx.values.kit import KitObjects, KitSamples
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.kit import KitSettings
from nhle_onnx.verification.accuracy import REMEDY
from nhle_onnx.verification.finite import check_finite, name_model
from nhle_onnx.workflows.detection.fitting import open_other, open_truth, require_same
from nhle_onnx.workflows.detection.measure import (
    SHOWN_OVERLAP,
    SHOWN_SCORE,
    find_detected,
    open_reader,
)
from nhle_onnx.workflows.detection.subject import Subject
from nhle_onnx.workflows.kit_parts import (
    NOTHING,
    Answers,
    Draft,
    check_fed,
    check_kept,
    count_most,
    draft_kit,
    require_forgotten,
)
from nhle_onnx.workflows.observer import Observer

Images = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]
_UNIT = (1, 1)  # extents by which boxes stay as the model writes them


def draft_detector(settings: KitSettings, subject: Subject, observer: Observer) -> Draft:
    """Choose images with boxes, and find which objects a detector detects, image by image."""
    check_fed(subject)
    appended = _expose(subject)
    request = parse_request(settings.forget, subject.labels)
    baseline = None
    if settings.baseline:
        baseline = open_other(settings.baseline, settings.flags, subject.model.path)
        require_same(subject, baseline)
    check_kept(settings, subject, baseline)
    known, source = _choose(settings, subject, request)
    images, truth = source.read(), _scale(subject, source)
    check_writable(settings.out, force=settings.force)  # again, now that the samples are known
    observer.start_stage("measuring")
    answers = Answers(
        classes=np.concatenate([boxes.classes for boxes in truth]),
        after=_answer(subject, images, truth),
        before=_answer(baseline, images, truth) if baseline else None,
        objects=_describe_objects(subject, truth, appended),
    )
    samples = KitSamples(
        kit=len(truth),
        forgotten=sum(_shows(boxes, request) for boxes in truth),
        available=known,
        source=str(settings.data),
    )
    return draft_kit(
        settings,
        subject,
        baseline,
        images,
        answers,
        output=subject.detector.scores.name,
        request=request,
        samples=samples,
    )


def _expose(subject: Subject) -> str:
    """Return the bytes, as base64, that make boxes and scores outputs if they follow the model's: a
    protobuf message that follows another is merged with it. Raises UnsupportedModelError where that
    cannot be done.
    """
    addition, model = ModelProto(), subject.model
    shown = {value.name for value in model.proto.graph.output}
    for name in dict.fromkeys((subject.detector.boxes.name, subject.detector.scores.name)):
        if name not in shown:
            addition.graph.output.add().name = name
    if addition.graph.output and model.sidecars:
        message = (
            f"{model.path} shows no boxes with scores, which a kit compares, and has weights in "
            "other files"
        )
        raise UnsupportedModelError(
            message, remedy="Export it with boxes and scores as outputs, or in one file."
        )
    return base64.b64encode(addition.SerializeToString(deterministic=True)).decode()


def _choose(
    settings: KitSettings, subject: Subject, request: ForgetRequest
) -> tuple[int, SceneSource]:
    """Return how many images show an object, and those that go into the kit."""
    source = open_truth(settings.data, subject)
    given = [make_boxes([], []) if boxes is None else boxes for boxes in source.boxes]
    places = [place for place, boxes in enumerate(given) if len(boxes.classes)]
    shown = np.array([_name_image(given[place], request) for place in places], np.int64)
    require_forgotten(settings, shown, request)
    picked = pick_images(shown, request, count_most(settings, subject.image_input))
    return len(places), source.choose([places[row] for row in picked])


def _name_image(boxes: Boxes, request: ForgetRequest) -> int:
    """Return the class that an image is chosen for: a forgotten one, if it shows any."""
    classes = boxes.classes.tolist()
    return int(next((index for index in classes if index in request.forget), classes[0]))


def _shows(boxes: Boxes, request: ForgetRequest) -> bool:
    return bool(np.isin(boxes.classes, request.forget).any())


def _scale(subject: Subject, source: SceneSource) -> list[Boxes]:
    """Return the true boxes in the unit of the model's: pixels, or fractions of the image."""
    height, width = subject.extents if subject.detector.boxes.is_relative else _UNIT
    factors = np.array([width, height] * 2, np.float32)
    known = [boxes for boxes in source.boxes if boxes is not None]
    return [boxes._replace(corners=boxes.corners / factors) for boxes in known]


def _answer(subject: Subject, images: Images, truth: list[Boxes]) -> Classes:
    """Answer the objects, one image at a time, as a device does. If the graph fixes a larger batch
    size, the batch holds copies of the image.
    """
    detector, target = subject.detector, subject.image_input
    batch = target.batch or 1
    session = open_reader(subject, "cpu", "exact").session
    names = (detector.boxes.name, detector.scores.name)
    outputs = session.run_several(names, np.repeat(images, batch, axis=0), target, 1)
    boxes, scores = (output[::batch] for output in outputs)
    answers = read_answers(detector, boxes, scores, _UNIT)
    is_seen = (answers.scores >= SHOWN_SCORE).any(-1, keepdims=True)
    with name_model(subject.model.path):
        check_finite(answers.scores, "its scores", REMEDY)
        check_finite(np.where(is_seen, answers.boxes, 0), "its boxes", REMEDY)
    return np.concatenate(
        [
            np.where(find_detected(ours, given), given.classes, NOTHING)
            for ours, given in zip(list_detections(answers), truth, strict=True)
        ]
    )


def _describe_objects(subject: Subject, truth: list[Boxes], appended: str) -> KitObjects:
    counts = [len(boxes.classes) for boxes in truth]
    return KitObjects(
        boxes=subject.detector.boxes,
        scores=subject.detector.scores,
        appended=appended,
        places=tuple(np.repeat(np.arange(len(truth)), counts).tolist()),
        corners=tuple(tuple(corners.tolist()) for boxes in truth for corners in boxes.corners),
        least_score=SHOWN_SCORE,
        least_overlap=SHOWN_OVERLAP,
        suppression=OVERLAP,
        most=MOST,
    )
