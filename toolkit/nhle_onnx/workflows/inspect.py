"""inspect: describes a model, and what can be done with it."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from onnx import ModelProto, ValueInfoProto

from nhle_onnx.data.labels import find_labels
from nhle_onnx.data.model_input import find_input, find_pixels
from nhle_onnx.data.own_report import read_dropped
from nhle_onnx.data.presets import PRESETS
from nhle_onnx.data.samples import open_samples
from nhle_onnx.errors import NhleOnnxError, UnsupportedModelError
from nhle_onnx.graph.element_types import get_element_type
from nhle_onnx.graph.exporters import find_remedy
from nhle_onnx.graph.fixed_inputs import fix_inputs
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.image_input import describe_axes
from nhle_onnx.graph.load import load_model
from nhle_onnx.graph.packed import measure_sizes
from nhle_onnx.hints import hint
from nhle_onnx.lowering.weights import (
    describe_operators,
    list_not_finite,
    list_unsupported,
    list_unsupported_tensors,
    list_weights,
    name_operators,
)
from nhle_onnx.runtime.noise import make_noise
from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.model import ClassifierHead, OnnxModel
from nhle_onnx.values.settings.inspect import InspectSettings
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.values.summary import InspectReport, Trials
from nhle_onnx.verification.accuracy import predict_classes
from nhle_onnx.verification.finite import name_model
from nhle_onnx.workflows.classifier import TOOL, Classifier, summarize_file
from nhle_onnx.workflows.detection.inspect import list_operators, list_reasons
from nhle_onnx.workflows.detection.plan import check_model
from nhle_onnx.workflows.detection.subject import Subject, find_subject
from nhle_onnx.workflows.feasibility import (
    TRIED,
    answer_noise,
    check_masks,
    list_trained,
)
from nhle_onnx.workflows.trials import try_presets

Found = TypeVar("Found")
_VERIFY_INSTEAD = hint("Leave {data} out; verify measures what a detector detects in images.")


def inspect_model(settings: InspectSettings) -> InspectReport:
    """Describe a model. A part that `unlearn` cannot handle becomes a reason, not an error.

    A method is promised if all that `unlearn` does with a model before it trains works on noise.
    Raises InputRefusedError or UnsupportedModelError only where the file itself, or the images on
    which preprocessing is tried, cannot be read, and UsageError for a constant that does not fit.
    """
    flags = settings.flags
    loaded = load_model(settings.model, max_elements=flags.max_elements)
    model = fix_inputs(loaded, flags.constants)
    reasons: list[str] = []
    if subject := _attempt(lambda: find_subject(model, flags), reasons):
        if settings.data:
            message = f"{model.path} is a detector, whose preprocessing is not tried on images yet"
            raise UnsupportedModelError(message, remedy=_VERIFY_INSTEAD)
        return _inspect_detector(subject)
    head = None if reasons else _attempt(lambda: find_head(model, output=flags.output), reasons)
    image = _attempt(lambda: find_input(model, flags), reasons)
    labels = _attempt(lambda: _find_left_labels(model, head, flags), reasons) if head else None
    preprocess = None
    if image:
        preprocess = _attempt(lambda: find_pixels(model, image, flags.preprocess), reasons)
    poisoned = list_not_finite(model, head) if head else ()
    reasons += [f"the weight {name} holds NaN or an infinity" for name in poisoned]
    classifier = None
    if head and image and labels and not reasons:
        classifier = Classifier(
            model=model, head=head, image_input=image, labels=labels, preprocess=preprocess
        )
    last = head.scores if head else model.proto.graph.output[0].name
    unsupported = list_unsupported(model.proto, model.opset, last)
    if unsupported:
        remedy = find_remedy(unsupported, "")
        reasons.append(". ".join(filter(None, (describe_operators(unsupported), remedy))))
    tensors = [*list_unsupported_tensors(model.proto)]
    reasons += [f"the tensor {name} is {kind}, which cannot be trained" for name, kind in tensors]
    names = list_weights(model.proto, model.opset, last, model.constants)
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
        labels=labels,
        trainable_tensors=len(names),
        trainable_parameters=_count(model, names),
        unsupported_operators=name_operators(unsupported),
        preprocess=preprocess,
        unlearn={
            **_promise(classifier, reasons, is_lowerable=not (unsupported or tensors)),
            "images": preprocess is not None,
        },
        reasons=tuple(reasons),
        trials=trials,
    )


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


def _attempt(find: Callable[[], Found], reasons: list[str]) -> Found | None:
    try:
        return find()
    except NhleOnnxError as error:
        reasons.append(error.reason)
        return None


def _try(data: Path, classifier: Classifier) -> Trials:
    """Try preprocessing on images; opening them takes any, as nothing is decoded yet."""
    preprocess = classifier.preprocess or PRESETS[0].apply(classifier.image_input)
    source = open_samples(data, classifier.image_input, preprocess, classifier.labels)
    session = open_session(classifier.model.proto, "auto", "exact")
    return try_presets(classifier, source, range(len(source.classes)), session)


def _succeeds(check: Callable[[], object], reasons: list[str]) -> bool:
    """Whether a check raises no error; the reason of one is added."""
    before = len(reasons)
    _attempt(check, reasons)
    return len(reasons) == before


def _promise(
    classifier: Classifier | None, reasons: list[str], *, is_lowerable: bool
) -> dict[str, bool]:
    """Try what each method does before it trains, and add what stands in its way."""
    if classifier is None or not _succeeds(lambda: _check_answers(classifier), reasons):
        return dict.fromkeys(("nhle-cwm", "nhle", "cwm"), False)
    can_mask = _succeeds(lambda: check_masks(classifier), reasons)
    can_train = (
        is_lowerable
        and _succeeds(lambda: list_trained(classifier, "features"), reasons)
        and _succeeds(lambda: _check_lowering(classifier), reasons)
    )
    return {"nhle-cwm": can_mask and can_train, "nhle": can_train, "cwm": can_mask}


def _check_answers(classifier: Classifier) -> None:
    """Run the model on noise. Raises UnsupportedModelError or InputRefusedError where it gives no
    answer.
    """
    with name_model(classifier.model.path):
        predict_classes(answer_noise(classifier))


def _check_lowering(classifier: Classifier) -> None:
    """Lower the model to torch, and compare the two on noise. Raises UnsupportedModelError where
    that fails or they differ.
    """
    # torch takes seconds to import: only for a model that nothing else rules out
    from nhle_onnx.workflows.training import lower_and_compare  # noqa: PLC0415

    noise = make_noise(classifier.image_input, classifier.image_input.batch or TRIED)
    lower_and_compare(classifier, noise, TRIED)


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
