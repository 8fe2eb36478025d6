"""kit: everything that a device needs to verify a model itself. Never imports torch."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from nhle_onnx.data.labels import parse_request
from nhle_onnx.data.samples import open_samples
from nhle_onnx.errors import InputRefusedError, UnsupportedModelError
from nhle_onnx.graph.head.find import is_output
from nhle_onnx.graph.model_files import read_model_files
from nhle_onnx.graph.save import check_writable, write_files
from nhle_onnx.graph.subgraph import with_output
from nhle_onnx.hints import hint
from nhle_onnx.release.kit.archive import pack_files
from nhle_onnx.release.kit.contents import (
    IMAGES,
    KIT_JSON,
    MODEL_FOLDER,
    encode_images,
    make_contents,
)
from nhle_onnx.release.kit.picking import choose_limit, pick_images
from nhle_onnx.release.kit.results import judge_accuracy, measure_answers
from nhle_onnx.runtime.session import open_session
from nhle_onnx.text import to_printable
from nhle_onnx.values.kit import (
    HostFigures,
    InputType,
    Kit,
    KitImages,
    KitModel,
    KitReport,
    KitSamples,
)
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.gates import DeviceLimits
from nhle_onnx.values.settings.kit import KitSettings
from nhle_onnx.verification.accuracy import measure_accuracy, predict_classes
from nhle_onnx.verification.finite import name_model
from nhle_onnx.verification.gates.judge import word_checks
from nhle_onnx.workflows.classifier import (
    TOOL,
    Classifier,
    open_classifier,
    require_all_classes,
    summarize_file,
)
from nhle_onnx.workflows.file_facts import summarize_contents
from nhle_onnx.workflows.measure import describe_suspicion
from nhle_onnx.workflows.observer import Observer

_TYPES: dict[str, InputType] = {"float32": "float32", "float16": "float16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _KitInputs:
    """The models of a kit, and its images, chosen from those available."""

    classifier: Classifier
    baseline: Classifier | None
    request: ForgetRequest
    dtype: InputType
    images: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]
    available: int


def make_kit(settings: KitSettings, observer: Observer) -> KitReport:
    """Run the chosen images here, and write them with the model and the programs for a device."""
    check_writable(settings.out, force=settings.force)
    observer.start_stage("loading")
    inputs = _gather(settings)
    check_writable(settings.out, force=settings.force)  # again, now that the samples are known
    observer.start_stage("measuring")
    data = _read_model(inputs.classifier)
    data[IMAGES] = encode_images(inputs.images, inputs.dtype)
    kit = _describe(inputs, settings.limits, data)
    figures = measure_answers(kit, kit.expected)
    checks, unmeasured = judge_accuracy(kit, figures, kit.limits)
    checks = word_checks(checks, "flags")
    gaps = dict.fromkeys(check.gap for check in checks if check.verdict == "not-judged")
    kit = replace(kit, gaps=tuple(gaps))
    observer.start_stage("packing")
    contents, notes = make_contents(kit, data)
    archive = pack_files(contents)
    write_files({settings.out: archive}, force=settings.force)
    suspicion = describe_suspicion(kit.host.before) if kit.host.before else ()
    return KitReport(
        tool=TOOL,
        model=summarize_file(inputs.classifier.model),
        baseline=summarize_file(inputs.baseline.model) if inputs.baseline else None,
        kit=summarize_contents(settings.out, {settings.out: archive}),
        kit_json_sha256=hashlib.sha256(contents[KIT_JSON]).hexdigest(),
        labels=kit.labels,
        forget=kit.forget,
        samples=KitSamples(
            kit=len(kit.classes),
            forgotten=sum(index in kit.forget for index in kit.classes),
            available=inputs.available,
            source=str(settings.data),
        ),
        provider=kit.host.provider,
        before=kit.host.before,
        after=figures.after,
        delta_acc_r=figures.delta_acc_r,
        notes=(*suspicion, *unmeasured, *notes),
        checks=checks,
    )


def _gather(settings: KitSettings) -> _KitInputs:
    classifier = open_classifier(settings.model, settings.flags)
    dtype = _check_model(settings, classifier)
    request = parse_request(settings.forget, classifier.labels)
    baseline = open_classifier(settings.baseline, settings.flags) if settings.baseline else None
    _check_kept(settings, classifier, baseline)
    target = classifier.image_input
    source = open_samples(settings.data, target, classifier.preprocess, classifier.labels)
    if not np.isin(source.classes, request.forget).any():
        message = f"{settings.data} holds no sample of a forgotten class, so a kit proves nothing"
        raise InputRefusedError(message, remedy="Give data that include the forgotten classes.")
    size = int(np.prod(target.sample_shape)) * np.dtype(dtype).itemsize
    positions = pick_images(source.classes, request, settings.limit or choose_limit(size))
    return _KitInputs(
        classifier=classifier,
        baseline=baseline,
        request=request,
        dtype=dtype,
        images=source.read(positions.tolist()),
        classes=source.classes[positions],
        available=len(source.classes),
    )


def _check_model(settings: KitSettings, classifier: Classifier) -> InputType:
    """Return the type of the model's input. Raises UnsupportedModelError for a model that a kit's
    programs cannot run or judge.
    """
    if not is_output(classifier.model.proto, classifier.head.output):
        message = (
            f"{settings.model} shows no scores, which a kit compares: {classifier.head.output} is "
            "not one of its outputs"
        )
        raise UnsupportedModelError(message, remedy="Export it with the scores as an output.")
    require_all_classes(classifier, "a kit")
    dtype = _TYPES.get(classifier.image_input.dtype)
    if dtype is None:
        given = classifier.image_input.dtype
        message = f"{settings.model} takes {given}, which a kit's programs do not feed"
        raise UnsupportedModelError(message, remedy="Give the model a float32 or float16 input.")
    if classifier.model.constants:
        message = (
            f"{settings.model} has inputs beside the images, which a kit's programs do not feed"
        )
        raise UnsupportedModelError(
            message, remedy="Make them initializers of the graph, so that they have defaults."
        )
    return dtype


def _check_kept(settings: KitSettings, classifier: Classifier, baseline: Classifier | None) -> None:
    """Refuse to overwrite inputs."""
    models = classifier.model.files | (baseline.model.files if baseline else frozenset())
    if settings.out.resolve() in {*models, settings.data.resolve()}:
        message = f"{settings.out} goes into the kit, and is never changed"
        raise InputRefusedError(message, remedy=hint("Give {out} another path."))


def _describe(inputs: _KitInputs, limits: DeviceLimits, data: dict[str, bytes]) -> Kit:
    """Make kit.json, with ONNX Runtime's answers here on the CPU, one image at a time."""
    classifier, request, classes = inputs.classifier, inputs.request, inputs.classes
    target, model = classifier.image_input, classifier.model
    before = None
    if inputs.baseline:
        before = measure_accuracy(_predict(inputs.baseline, inputs), classes, request)
    expected = _predict(classifier, inputs)
    return Kit(
        tool=TOOL,
        model=KitModel(
            file=_name_model(classifier),
            sha256=model.sha256,
            size_bytes=model.size_bytes,
            sidecars=dict(model.sidecars),
        ),
        output=classifier.head.output,
        images=KitImages(
            file=IMAGES,
            sha256=hashlib.sha256(data[IMAGES]).hexdigest(),
            input=target.name,
            dtype=inputs.dtype,
            shape=target.sample_shape,
            batch=target.batch or 1,
        ),
        labels=classifier.labels,
        forget=request.forget,
        classes=tuple(classes.tolist()),
        expected=tuple(expected.tolist()),
        host=HostFigures(
            runtime=f"onnxruntime {ort.__version__}",
            provider="CPUExecutionProvider",
            before=before,
            after=measure_accuracy(expected, classes, request),
        ),
        limits=limits,
    )


def _predict(classifier: Classifier, inputs: _KitInputs) -> npt.NDArray[np.int64]:
    """Answer the images one at a time, as a device does. If the graph fixes a larger batch size,
    the batch holds copies of the image.
    """
    target = classifier.image_input
    batch = target.batch or 1
    session = open_session(with_output(classifier.model.proto, classifier.head.output), "cpu")
    repeated = np.repeat(inputs.images, batch, axis=0)
    outputs = session.run(classifier.head.output, repeated, target, 1)
    with name_model(classifier.model.path):
        return predict_classes(outputs[::batch])


def _read_model(classifier: Classifier) -> dict[str, bytes]:
    """Read the model's files unchanged, by their names in the kit."""
    model, *sidecars = read_model_files(classifier.model).items()
    beside = {f"{MODEL_FOLDER}/{name}": content for name, content in sidecars}
    return {_name_model(classifier): model[1]} | beside


def _name_model(classifier: Classifier) -> str:
    return f"{MODEL_FOLDER}/{to_printable(classifier.model.path.name)}"
