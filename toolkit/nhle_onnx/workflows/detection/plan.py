"""unlearn on a detector, first half: everything that is decided before a weight changes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nhle_onnx.data.boxes.scenes import SceneSource, open_scenes
from nhle_onnx.data.labels import parse_request
from nhle_onnx.data.splits import find_samples
from nhle_onnx.detection.reading import list_detections
from nhle_onnx.errors import InputRefusedError, UnsupportedModelError
from nhle_onnx.hints import hint
from nhle_onnx.lowering.weights import check_operators, check_weights, list_weights
from nhle_onnx.training.effort import describe_less
from nhle_onnx.unlearning.channel_mask import list_own
from nhle_onnx.values.boxes import Boxes, make_boxes
from nhle_onnx.values.detection import Precision
from nhle_onnx.values.report import SampleSummary
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.unlearn import UnlearnSettings
from nhle_onnx.verification.gates.objects import KNOWN
from nhle_onnx.workflows.detection.measure import Reader, detect, judge, open_reader
from nhle_onnx.workflows.detection.subject import Subject, name_outputs
from nhle_onnx.workflows.observer import Stopwatch
from nhle_onnx.workflows.output_checks import check_outputs

MOST_ANCHORS = 150
_NOTHING = make_boxes([], [])
SAMPLES, EVALUATION = "samples", "evaluation"  # folders of a set
_SEEN = 0.3  # score of a detection that stands for a given box
_CLEAR = 0.5  # score of one for which an image counts as showing the class

Array = npt.NDArray[np.float32]
_NO_ANCHORS = "no image without the class was given: nothing keeps the other classes unchanged"
_CWM_ALONE = hint(
    "only the class channels were masked ({method=cwm}): the features still contain the class, and "
    "restoring the channels brings it back"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionPlan:
    """Everything that was found and decided. Images are model inputs; their boxes are in pixels of
    these, of what is to be forgotten and of what is not.
    """

    settings: UnlearnSettings
    subject: Subject
    request: ForgetRequest
    names: tuple[str, ...]
    forget_images: Array
    forget_boxes: tuple[Boxes, ...]
    anchor_images: Array
    anchor_boxes: tuple[Boxes, ...]
    evaluation: SceneSource
    samples: SampleSummary
    reader: Reader
    before: Precision
    notes: tuple[str, ...] = ()

    @property
    def images(self) -> Array:
        """All images to tune by."""
        return np.concatenate([self.forget_images, self.anchor_images])


def plan_detection(settings: UnlearnSettings, subject: Subject, watch: Stopwatch) -> DetectionPlan:
    """Check everything, and measure the detector as given. Writes nothing."""
    request = parse_request(settings.forget, subject.labels)
    _refuse_options(settings)
    names = check_model(subject, trains=settings.options.trains)
    check_outputs(settings, subject.model)
    if settings.also:
        name_outputs(subject)
    reader = open_reader(subject, settings.provider, settings.kernels)
    with watch.stage("samples", "reading the samples"):
        root = settings.samples or find_samples(subject.model)
        source = _open(_choose_folder(root, SAMPLES), subject)
        seen = _look(source, reader)
        forget, anchors, rest = _split(seen, request, settings.options.samples_per_class)
        _require_forget(source, forget, subject.labels[request.forget[0]])
        evaluation = _choose_evaluation(settings, root, source, rest, subject)
        given, anchor_notes = _open_anchors(settings, source, anchors, subject)
    with watch.stage("measure_before", "measuring the detector as given"):
        answers = detect([reader], evaluation, watch.report_samples)[0]
        truth = [boxes for boxes in evaluation.boxes if boxes is not None]
        before = judge(subject, answers, truth, request)
    if not settings.force_unknown:
        _require_known(before, subject, request)
    chosen = replace(source.choose(forget), boxes=tuple(seen[place] for place in forget))
    return DetectionPlan(
        settings=settings,
        subject=subject,
        request=request,
        names=names,
        forget_images=chosen.read(),
        forget_boxes=chosen.boxes,  # type: ignore[arg-type] # each was seen
        anchor_images=given.read(),
        anchor_boxes=tuple(boxes or _NOTHING for boxes in given.boxes),
        evaluation=evaluation,
        samples=SampleSummary(
            forget=len(forget),
            anchors=len(given.boxes),
            eval=len(truth),
            source=str(source.path),
            anchor_source=str(given.path),
            eval_source=str(evaluation.path),
        ),
        reader=reader,
        before=before,
        notes=(
            *describe_less(settings.options, resists=False),
            *dict.fromkeys((*source.notes, *evaluation.notes)),
            *anchor_notes,
        ),
    )


def list_boxes(settings: UnlearnSettings, subject: Subject) -> list[list[Any]]:
    """List the boxes of all images that a run may read: they may be written in other folders."""
    root = settings.samples or find_samples(subject.model)
    anchors = None if settings.anchors in {"auto", "off"} else Path(settings.anchors)
    folders = (_choose_folder(root, SAMPLES), _find_evaluation(settings, root), anchors)
    return [
        [boxes and (boxes.corners.tolist(), boxes.classes.tolist()) for boxes in source.boxes]
        for source in (_open(folder, subject) for folder in folders if folder)
    ]


def _refuse_options(settings: UnlearnSettings) -> None:
    """Raise UnsupportedModelError for options that detectors do not have yet."""
    options = settings.options
    given = {
        f"scope={options.scope}": options.scope != "features",
        f"mask={options.mask}": options.mask not in {"auto", "floor", "convex"},
        f"loss={options.loss}": options.loss != "saturating",
        "anchors=off": settings.anchors == "off",
    }
    for option, is_given in given.items():
        if is_given:
            raise UnsupportedModelError(
                hint(f"a detector does not take {{{option}}} yet"), remedy="Leave this option out."
            )


def check_model(subject: Subject, *, trains: bool) -> tuple[str, ...]:
    """Return the tensors to train: those before the class channels."""
    model = subject.model
    layers = subject.detector.layers
    for layer in layers:
        check_weights(model, layer.head)
        if layer.head.feature_quant_params is not None:
            message = (
                f"{model.path}: the class channels are computed in whole numbers ({layer.head.op})"
            )
            raise UnsupportedModelError(
                message, remedy="Quantize it with QuantizeLinear nodes (QDQ)."
            )
    if not trains:
        return ()
    features = dict.fromkeys(layer.head.features for layer in layers)
    for name in features:
        check_operators(model, name)
    own = list_own(layers)
    found = dict.fromkeys(
        name
        for each in features
        for name in list_weights(model.proto, model.opset, each, model.constants)
    )
    return tuple(name for name in found if name not in own)


def _choose_folder(root: Path, name: str) -> Path:
    """Return the folder of a set's samples or evaluation images, or the set itself."""
    return root / name if (root / name).is_dir() else root


def _open(path: Path, subject: Subject) -> SceneSource:
    return open_scenes(path, subject.image_input, subject.preprocess, subject.labels)


def _look(source: SceneSource, reader: Reader) -> tuple[Boxes, ...]:
    """Return each image's boxes: the given ones, else what the detector itself sees."""
    unknown = [place for place, boxes in enumerate(source.boxes) if boxes is None]
    found = iter(_see(source.choose(unknown), reader))
    return tuple(next(found) if boxes is None else boxes for boxes in source.boxes)


def _see(source: SceneSource, reader: Reader) -> list[Boxes]:
    if not source.boxes:
        return []
    answers = reader.read(source.read(), len(source.boxes))
    return [boxes.choose(boxes.scores >= _SEEN) for boxes in list_detections(answers)]


def _split(
    seen: Sequence[Boxes], request: ForgetRequest, count: int
) -> tuple[list[int], list[int], list[int]]:
    """Return the images to forget, the anchors, and further images that show the class. A detection
    counts from a score at which the class is surely shown.
    """
    shown = [np.isin(boxes.classes[boxes.scores >= _CLEAR], request.forget).any() for boxes in seen]
    own = [place for place, is_shown in enumerate(shown) if is_shown]
    anchors = [
        place
        for place, boxes in enumerate(seen)
        if not np.isin(boxes.classes, request.forget).any()
    ]
    return own[:count], anchors[:MOST_ANCHORS], own[count:]


def _require_forget(source: SceneSource, forget: Sequence[int], name: str) -> None:
    if not forget:
        message = f"no image in {source.path} shows {name}, by its boxes or by what is detected"
        raise InputRefusedError(message, remedy="Give a few images of it; 16 are enough.")


def _choose_evaluation(
    settings: UnlearnSettings,
    root: Path,
    source: SceneSource,
    rest: Sequence[int],
    subject: Subject,
) -> SceneSource:
    """Return the images with boxes to judge by: those given, or the set's own, or what is left."""
    path = _find_evaluation(settings, root)
    chosen = source.choose(rest) if path is None else _open(path, subject)
    return chosen.choose([place for place, boxes in enumerate(chosen.boxes) if boxes is not None])


def _find_evaluation(settings: UnlearnSettings, root: Path) -> Path | None:
    beside = root / EVALUATION
    return settings.data or (beside if beside.is_dir() else None)


def _open_anchors(
    settings: UnlearnSettings, source: SceneSource, anchors: Sequence[int], subject: Subject
) -> tuple[SceneSource, tuple[str, ...]]:
    given = source.choose(anchors)
    if settings.anchors != "auto":
        others = _open(Path(settings.anchors), subject)
        given = others.choose(range(min(len(others.boxes), MOST_ANCHORS)))
    note = () if settings.options.trains else (_CWM_ALONE,)
    return given, note if given.boxes else (*note, _NO_ANCHORS)


def _require_known(before: Precision, subject: Subject, request: ForgetRequest) -> None:
    """Raise InputRefusedError where the detector does not know a class, or knows nothing."""
    for index in request.forget:
        known = before.per_class[index]
        if known is not None and known < KNOWN:
            message = (
                f"{subject.model.path} does not know {subject.labels[index]}: its average "
                f"precision on these images is {known:.3f}"
            )
            remedy = hint("Check boxes, labels and preprocessing, or give {force_unknown}.")
            raise InputRefusedError(message, remedy=remedy)
