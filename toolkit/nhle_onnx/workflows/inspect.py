"""inspect: describes a model, and what can be done with it."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from onnx import ModelProto, ValueInfoProto

from nhle_onnx.data.labels import find_labels
from nhle_onnx.data.model_input import find_input, find_pixels
from nhle_onnx.data.own_report import read_dropped
from nhle_onnx.data.presets import PRESETS
from nhle_onnx.data.samples import open_samples
from nhle_onnx.graph.element_types import get_element_type
from nhle_onnx.graph.fixed_inputs import fix_inputs
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.image_input import describe_axes
from nhle_onnx.graph.load import load_model
from nhle_onnx.graph.packed import measure_sizes
from nhle_onnx.lowering.weights import (
    list_not_finite,
)
from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.model import ClassifierHead, OnnxModel
from nhle_onnx.values.preprocess import ImageInput, Preprocess
from nhle_onnx.values.settings.inspect import InspectSettings
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.values.summary import InspectReport, Trials
from nhle_onnx.workflows.classifier import TOOL, Classifier, summarize_file
from nhle_onnx.workflows.detection.inspect import list_operators, list_reasons
from nhle_onnx.workflows.detection.plan import check_model
from nhle_onnx.workflows.detection.subject import Subject, find_subject
from nhle_onnx.workflows.detection.trials import try_on_scenes
from nhle_onnx.workflows.methods import attempt, examine_training, promise_methods
from nhle_onnx.workflows.trials import try_presets


def inspect_model(settings: InspectSettings) -> InspectReport:
    """Describe a model. A part that `unlearn` cannot handle becomes a reason, not an error.

    A method is promised if all that `unlearn` does with a model before it trains works on noise.
    Raises InputRefusedError or UnsupportedModelError only where the file itself, or the images on
    which preprocessing is tried, cannot be read, and UsageError for a constant that does not fit.
    """
    flags = settings.flags
    reasons: list[str] = []
    loaded = load_model(settings.model, max_elements=flags.max_elements)
    model = fix_inputs(loaded, flags.constants)
    if subject := attempt(lambda: find_subject(model, flags), reasons):
        tried = try_on_scenes(settings.data, subject) if settings.data else None
        return replace(_inspect_detector(subject), trials=tried)
    parts = _find_parts(model, flags, reasons)
    head, classifier = parts.head, None if reasons else parts.assemble(model)
    training = examine_training(model, head)
    reasons += training.reasons
    trials = _try(settings.data, classifier) if settings.data and classifier else None
    return InspectReport(
        tool=TOOL,
        model=summarize_file(model),
        opset=model.opset,
        ir_version=model.proto.ir_version,
        format=Head(model.proto, head).element_type.name if head else None,
        inputs=_describe(model.proto.graph.input, model.proto, model.constants),
        outputs=_describe(model.proto.graph.output, model.proto),
        head=head,
        labels=parts.labels,
        trainable_tensors=len(training.tensors),
        trainable_parameters=_count(model, training.tensors),
        unsupported_operators=training.unsupported,
        preprocess=parts.preprocess,
        unlearn={
            **promise_methods(classifier, reasons, is_lowerable=not training.reasons),
            "images": parts.preprocess is not None,
        },
        reasons=tuple(reasons),
        trials=trials,
    )


class _Parts(NamedTuple):
    """What was found of a classifier, None for what was not."""

    head: ClassifierHead | None
    image: ImageInput | None
    labels: tuple[str, ...] | None
    preprocess: Preprocess | None

    def assemble(self, model: OnnxModel) -> Classifier | None:
        """Return the classifier, if nothing that it needs is missing."""
        if not (self.head and self.image and self.labels):
            return None
        return Classifier(
            model=model,
            head=self.head,
            image_input=self.image,
            labels=self.labels,
            preprocess=self.preprocess,
        )


def _find_parts(model: OnnxModel, flags: ModelFlags, reasons: list[str]) -> _Parts:
    """Find the parts of a classifier, and add why one is not found or cannot be used."""
    head = None if reasons else attempt(lambda: find_head(model, output=flags.output), reasons)
    image = attempt(lambda: find_input(model, flags), reasons)
    labels = attempt(lambda: _find_left_labels(model, head, flags), reasons) if head else None
    preprocess = None
    if image:
        preprocess = attempt(lambda: find_pixels(model, image, flags.preprocess), reasons)
    poisoned = list_not_finite(model, head) if head else ()
    reasons += [f"the weight {name} holds NaN or an infinity" for name in poisoned]
    return _Parts(head, image, labels, preprocess)


def _inspect_detector(subject: Subject) -> InspectReport:
    model = subject.model
    promised, reasons = list_reasons(subject)
    names = check_model(subject, trains=True) if promised["nhle"] else ()
    return InspectReport(
        tool=TOOL,
        model=summarize_file(model),
        opset=model.opset,
        ir_version=model.proto.ir_version,
        format=subject.parts[0].element_type.name,
        inputs=_describe(model.proto.graph.input, model.proto, model.constants),
        outputs=_describe(model.proto.graph.output, model.proto),
        head=None,
        labels=subject.labels,
        trainable_tensors=len(names),
        trainable_parameters=_count(model, names),
        unsupported_operators=list_operators(subject),
        preprocess=subject.preprocess,
        unlearn=promised,
        reasons=reasons,
        detector=subject.detector,
    )


def _find_left_labels(model: OnnxModel, head: ClassifierHead, flags: ModelFlags) -> tuple[str, ...]:
    """Return the labels of the model's outputs, without those of classes dropped from it."""
    dropped = read_dropped(model)
    labels = find_labels(model, head.num_classes + len(dropped), flags.labels)
    return tuple(label for index, label in enumerate(labels) if index not in dropped)


def _try(data: Path, classifier: Classifier) -> Trials:
    """Try preprocessing on images; opening them takes any, as nothing is decoded yet."""
    preprocess = classifier.preprocess or PRESETS[0].apply(classifier.image_input)
    source = open_samples(data, classifier.image_input, preprocess, classifier.labels)
    session = open_session(classifier.model.proto, "auto", "exact")
    return try_presets(classifier, source, range(len(source.classes)), session)


def _describe(
    values: Iterable[ValueInfoProto], proto: ModelProto, constants: Iterable[str] = ()
) -> dict[str, str]:
    """Describe type and shape of each value, except weights: `float [batch, 3, 32, 32]`."""
    weights = {tensor.name for tensor in proto.graph.initializer}.difference(constants)
    return {
        value.name: f"{_name_type(value)} [{', '.join(describe_axes(value))}]"
        for value in values
        if value.name not in weights
    }


def _name_type(value: ValueInfoProto) -> str:
    name = get_element_type(value.type.tensor_type.elem_type).name
    return "float" if name == "float32" else name


def _count(model: OnnxModel, names: tuple[str, ...]) -> int:
    sizes = measure_sizes(model.proto)
    return sum(sizes[name] for name in names)
