"""Detectors that fit each other, and images with boxes to judge them by."""

from pathlib import Path

from nhle_onnx.data.boxes.scenes import SceneSource, open_scenes
from nhle_onnx.detection.find import has_boxes, may_detect
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.fixed_inputs import fix_inputs
from nhle_onnx.graph.load import load_model
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.workflows.detection.subject import Subject, describe_detector


def open_other(path: Path, flags: ModelFlags, beside: Path) -> Subject:
    """Open a detector that another one is compared with. Raises InputRefusedError for a model of
    another kind.
    """
    model = fix_inputs(load_model(path, max_elements=flags.max_elements), flags.constants)
    if not (has_boxes(model) or may_detect(model)):
        message = f"{path} is not a detector, and {beside} is one"
        raise InputRefusedError(message, remedy="Give models of the same kind.")
    return describe_detector(model, flags)


def require_same(subject: Subject, baseline: Subject) -> None:
    """Raise InputRefusedError where one was not made from the other."""
    if subject.detector != baseline.detector or subject.extents != baseline.extents:
        message = f"{subject.model.path} was not made from {baseline.model.path}"
        raise InputRefusedError(message, remedy="Give the detector before forgetting.")


def require_comparable(reference: Subject, original: Subject) -> None:
    """Raise InputRefusedError where a detector has other classes, locations or images."""
    kinds = [
        (each.detector.num_classes, each.extents, [layer.anchors for layer in each.detector.layers])
        for each in (reference, original)
    ]
    if kinds[0] != kinds[1]:
        message = (
            f"{reference.model.path} has other classes, scales or images than {original.model.path}"
        )
        remedy = "Give a detector of the same form that was trained without the class."
        raise InputRefusedError(message, remedy=remedy)


def open_truth(path: Path, subject: Subject) -> SceneSource:
    """Open the images below a folder that have boxes. Raises InputRefusedError without any."""
    source = open_scenes(path, subject.image_input, subject.preprocess, subject.labels)
    known = [place for place, boxes in enumerate(source.boxes) if boxes is not None]
    if not known:
        message = f"nothing says which boxes the images in {path} have"
        remedy = "Give their boxes as COCO JSON, YOLO text, or Pascal VOC XML."
        raise InputRefusedError(message, remedy=remedy)
    return source.choose(known)
