"""Detectors that fit each other, and images with boxes to judge them by."""

from pathlib import Path

from onnx import ModelProto

from nhle_onnx.data.boxes.scenes import SceneSource, open_scenes
from nhle_onnx.detection.find import has_boxes, may_detect
from nhle_onnx.detection.restoring import find_lost_channel, restore_channels
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.fixed_inputs import fix_inputs
from nhle_onnx.graph.load import load_model
from nhle_onnx.text import explain_lost
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.workflows.detection.subject import Subject, describe_detector

_OTHER_FEATURES = (
    "the baseline's class channels read other features than the model's, so they cannot be put "
    "back: give the model that this one was made from"
)


def open_other(path: Path, flags: ModelFlags, beside: Path) -> Subject:
    """Open a detector that another one is compared with. Raises InputRefusedError for a model of
    another kind.
    """
    model = fix_inputs(load_model(path, max_elements=flags.max_elements), flags.constants)
    if not (has_boxes(model) or may_detect(model)):
        message = f"{path} is not a detector, and {beside} is one"
        raise InputRefusedError(message, remedy="Give models of the same kind.")
    return describe_detector(model, flags, (beside,))


def require_same(subject: Subject, baseline: Subject) -> None:
    """Raise InputRefusedError where one cannot have been made from the other."""
    if _describe_form(subject) != _describe_form(baseline):
        message = f"{subject.model.path} was not made from {baseline.model.path}"
        raise InputRefusedError(message, remedy="Give the detector before forgetting.")


def require_comparable(reference: Subject, original: Subject) -> None:
    """Raise InputRefusedError where a detector has other classes, locations or images."""
    if _describe_form(reference) != _describe_form(original):
        message = (
            f"{reference.model.path} has other classes, scales or images than {original.model.path}"
        )
        remedy = "Give a detector of the same form that was trained without the class."
        raise InputRefusedError(message, remedy=remedy)


def put_back(subject: Subject, baseline: Subject) -> tuple[ModelProto | None, str]:
    """Return a detector with its baseline's class channels; or None, and why they do not fit."""
    ours, theirs = (
        [(part.layout.feature_dim, part.layout.num_classes) for part in each.parts]
        for each in (subject, baseline)
    )
    if ours != theirs:
        return None, _OTHER_FEATURES
    original = baseline.model.proto
    restored = restore_channels(subject.model.proto, subject.detector, original, baseline.detector)
    lost = find_lost_channel(restored, subject.detector, original, baseline.detector)
    if lost is None:
        return restored, ""
    return None, explain_lost("channel", lost)


def _describe_form(subject: Subject) -> tuple[object, ...]:
    """Describe what detectors must have in common to be compared, in whatever numbers they are."""
    target, detector = subject.image_input, subject.detector
    anchors = [layer.anchors for layer in detector.layers]
    return (detector.num_classes, target.dtype, target.sample_shape, target.layout, anchors)


def open_truth(path: Path, subject: Subject) -> SceneSource:
    """Open the images below a folder that have boxes. Raises InputRefusedError without any."""
    source = open_scenes(path, subject.image_input, subject.preprocess, subject.labels)
    known = [place for place, boxes in enumerate(source.boxes) if boxes is not None]
    if not known:
        message = f"nothing says which boxes the images in {path} have"
        remedy = "Give their boxes as COCO JSON, YOLO text, or Pascal VOC XML."
        raise InputRefusedError(message, remedy=remedy)
    return source.choose(known)
