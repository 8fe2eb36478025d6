"""Opening a detector, the first step of every command on one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nhle_onnx.data.labels import find_labels
from nhle_onnx.data.model_input import find_input, find_pixels
from nhle_onnx.detection.find import decodes_outside, find_detector, has_boxes, may_detect
from nhle_onnx.errors import DETECTOR_REMEDY, InputRefusedError, UnsupportedModelError
from nhle_onnx.graph.fixed_inputs import fix_inputs
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.load import load_model
from nhle_onnx.hints import hint
from nhle_onnx.values.detection import DetectorSummary
from nhle_onnx.values.detector import Detector
from nhle_onnx.values.model import OnnxModel
from nhle_onnx.values.preprocess import ImageInput, Preprocess
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.workflows.file_facts import list_file_facts

_DECODE = "Export it with its boxes decoded: one output of boxes with scores, or one of each."


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A detector with everything needed to feed it images and read what it detects."""

    model: OnnxModel
    detector: Detector
    image_input: ImageInput
    labels: tuple[str, ...]
    preprocess: Preprocess | None

    @property
    def extents(self) -> tuple[int, int]:
        """Height and width of its input."""
        return self.image_input.height, self.image_input.width

    @property
    def parts(self) -> tuple[Head, ...]:
        """Its class channels, bound to its graph."""
        return tuple(Head(self.model.proto, layer.head) for layer in self.detector.layers)


def open_detector(path: Path, flags: ModelFlags) -> Subject:
    """Load a model, and find its class channels, input, labels and preprocessing."""
    return describe_detector(
        fix_inputs(load_model(path, max_elements=flags.max_elements), flags.constants), flags
    )


def describe_detector(
    model: OnnxModel, flags: ModelFlags, companions: Sequence[Path] = ()
) -> Subject:
    """Find what a loaded detector consists of, by itself or by models that it belongs to. Raises
    UnsupportedModelError.
    """
    target = find_input(model, flags, companions)
    if target.layout is None:
        raise UnsupportedModelError(f"{model.path} is a detector whose input is not an image")

    def knows(count: int) -> bool:
        try:
            found = find_labels(model, count, flags.labels, companions)
        except InputRefusedError:
            return False
        return found != tuple(map(str, range(count)))

    detector = find_detector(model, target, knows)
    return Subject(
        model=model,
        detector=detector,
        image_input=target,
        labels=find_labels(model, detector.num_classes, flags.labels, companions),
        preprocess=find_pixels(model, target, flags.preprocess, companions),
    )


def name_outputs(subject: Subject) -> tuple[str, ...]:
    """Name the outputs with boxes and scores. Raises UnsupportedModelError where the graph goes on
    from there, so that they are not among its outputs.
    """
    names = dict.fromkeys((subject.detector.boxes.name, subject.detector.scores.name))
    if {*names} <= {value.name for value in subject.model.proto.graph.output}:
        return tuple(names)
    message = f"{subject.model.path} has no outputs with boxes and scores to compare a .ort file by"
    raise UnsupportedModelError(message, remedy=hint("Leave {also=ort} out."))


class DetectorFoundError(UnsupportedModelError):
    """The model is a detector, which the command that opened it as a classifier does not take."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(
            f"{subject.model.path} is a detector, which this command does not take yet",
            remedy=DETECTOR_REMEDY,
        )
        self.subject = subject


def find_subject(
    model: OnnxModel, flags: ModelFlags, companions: Sequence[Path] = ()
) -> Subject | None:
    """Return a loaded model as a detector; None if it is not one.

    Raises UnsupportedModelError for one that is a detector beyond doubt, and cannot be read, and
    for one whose boxes are computed elsewhere.
    """
    if flags.output is not None:
        return None
    is_certain = has_boxes(model)
    if not (is_certain or may_detect(model)):
        if decodes_outside(model):
            message = (
                f"{model.path} has outputs of several scales, as a detector has whose boxes are "
                "computed outside of its graph, and no classifier's head"
            )
            raise UnsupportedModelError(message, remedy=_DECODE)
        return None
    try:
        return describe_detector(model, flags, companions)
    except UnsupportedModelError:
        if is_certain:
            raise
        return None


def summarize(subject: Subject) -> DetectorSummary:
    """Describe the detector for the report."""
    model = subject.model
    return DetectorSummary(
        **list_file_facts(model),
        opset=model.opset,
        detector=subject.detector,
        format=subject.parts[0].element_type.name,
    )
