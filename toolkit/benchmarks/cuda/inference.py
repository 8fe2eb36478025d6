"""ONNX Runtime on the card, compared with the CPU: answers, tolerance and speed."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from onnx import ModelProto, TensorProto, helper, numpy_helper

from benchmarks.cuda.place import Place, fail, judge, skip, tell, time_repeated
from nhle_onnx.errors import NhleOnnxError
from nhle_onnx.runtime.native import CPU, CUDA, open_native
from nhle_onnx.runtime.providers import find_provider_fault, preload_cuda
from nhle_onnx.runtime.session import Session, open_session
from nhle_onnx.values.preprocess import ImageInput
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.workflows.classifier import Classifier, open_classifier
from nhle_onnx.workflows.evaluation import read_evaluation
from studies.after_quantization import CHOSEN
from studies.formats import Calibration, quantize
from studies.results import ROOT
from studies.tables import Row

TENSORRT = "TensorrtExecutionProvider"
MODELS = ("lenet5_fashion_mnist", "mobilenetv3_small_fashion_mnist")
QUANTIZED = "mobilenetv3_small_int8_fashion_mnist"
SAMPLES = ROOT / "calibration_samples" / "fashion_mnist"
EVALUATION = SAMPLES / "evaluation.npz"
_BATCH = 256
_TIMES = 20
_FORMATS = {MODELS[0]: list(CHOSEN), MODELS[1]: ["qdq-int8", "dynamic-int8", "float16"]}
_DRY = {MODELS[0]: ["dynamic-int8"]}

Array = npt.NDArray[np.float32]


class _Limits(NamedTuple):
    """The least share of equal answers, and the largest difference in standard deviations."""

    agreement: float
    difference: float | None


_FLOAT = _Limits(0.9995, 1e-3)
_HALF = _Limits(0.99, 0.1)
_INTEGERS = _Limits(0.97, None)  # sums are rounded differently, and each rounding is a whole step


class _Subject(NamedTuple):
    """A model, and the limits that its number format allows."""

    name: str
    proto: ModelProto
    limits: _Limits


def find_model(name: str) -> Classifier:
    """Open a shipped model."""
    return open_classifier(ROOT / "models" / name / "model.onnx", ModelFlags())


def compare_providers(place: Place) -> Iterator[Row]:
    """Compare answers and scores on the card with those on the CPU, for each number format."""
    chosen = _DRY if place.is_dry else _FORMATS
    for name, formats in chosen.items():
        classifier = find_model(name)
        images = _read_images(classifier, place)
        for subject in _list_subjects(name, formats, classifier, images):
            yield from _compare(subject, classifier, images, place)
    if not place.is_dry:
        classifier = find_model(QUANTIZED)
        subject = _Subject(QUANTIZED, classifier.model.proto, _INTEGERS)
        yield from _compare(subject, classifier, _read_images(classifier, place), place)


def measure_binding(place: Place) -> Iterator[Row]:
    """Compare runs with bound inputs and outputs, as the package makes them, with plain runs."""
    classifier = find_model(MODELS[-1])
    images = _read_images(classifier, place)[:_BATCH]
    session = open_session(classifier.model.proto, place.name)
    run, output, target = _bind(session, classifier, images)
    plain = session.native.run([output], {target.name: images})[0]
    yield judge("bound and plain runs: largest difference", _differ(run(), plain), "≤", 1e-5)
    times = place.choose(200, 2)
    for name, work in (
        ("bound", run),
        ("plain", lambda: session.native.run([output], {target.name: images})),
        ("input kept on the device", _keep_on_device(session, output, target, images, place)),
    ):
        yield tell(f"{name}: images/s", len(images) / time_repeated(work, times))


def measure_tf32(place: Place) -> Iterator[Row]:
    """Compare products with those in float64: TF32 keeps 10 bits of a factor, floats 23."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(256, 1024)).astype(np.float32)
    weight = generator.normal(size=(1024, 1024)).astype(np.float32)
    exact = rows.astype(np.float64) @ weight.astype(np.float64)
    model = _make_product(weight)
    target = ImageInput(
        name="rows", dtype="float32", batch=None, channels=0, height=0, width=0, layout=None,
        features=(1024,),
    )  # fmt: skip
    ours = open_session(model, place.name).run("products", rows, target, len(rows))
    yield judge("our session: relative error", _measure_error(ours, exact), "≤", 1e-6)
    if not place.is_dry:
        options: list[Any] = [(CUDA, {"use_tf32": 1}), (CPU, {})]
        coarse = open_native(model.SerializeToString(), options).run(None, {"rows": rows})[0]
        yield tell("a session with TF32: relative error", _measure_error(coarse, exact))


def compare_tensorrt(place: Place) -> Iterator[Row]:
    """Compare TensorRT, if it is installed, with the CPU; no command uses it."""
    fault = find_provider_fault(TENSORRT)
    if fault is not None:
        yield skip(TENSORRT, fault)
        return
    for name in MODELS:
        classifier = find_model(name)
        images, output = _read_images(classifier, place), classifier.head.output
        feed = {classifier.image_input.name: images[:_BATCH]}
        protobuf = classifier.model.proto.SerializeToString()
        expected, found = (
            open_native(protobuf, providers).run([output], feed)[0]
            for providers in ([CPU], [TENSORRT, CUDA, CPU])
        )
        same = float(np.mean(expected.argmax(1) == found.argmax(1)))
        yield judge(f"{name}: same answers", same, "≥", _FLOAT.agreement)


def _read_images(classifier: Classifier, place: Place) -> Array:
    evaluation = read_evaluation(EVALUATION, classifier)
    step = place.choose(1, 50)
    return evaluation.read(range(0, len(evaluation.indices), step))


def _list_subjects(
    name: str, formats: Sequence[str], classifier: Classifier, images: Array
) -> Iterator[_Subject]:
    """List a float model, and the formats that ONNX Runtime's own tools make of it."""
    proto = classifier.model.proto
    yield _Subject(f"{name}, float32", proto, _FLOAT)
    calibration = Calibration(classifier.image_input.name, images[:160])
    for key in formats:
        limits = _HALF if key == "float16" else _INTEGERS
        yield _Subject(f"{name}, {key}", quantize(CHOSEN[key], proto, calibration), limits)


def _compare(
    subject: _Subject, classifier: Classifier, images: Array, place: Place
) -> Iterator[Row]:
    output, target = classifier.head.output, classifier.image_input
    expected = open_session(subject.proto, "cpu").run(output, images, target, _BATCH)
    try:
        session = open_session(subject.proto, place.name)
        found = session.run(output, images, target, _BATCH)
    except NhleOnnxError as error:
        yield fail(subject.name, error)
        return
    same = float(np.mean(expected.argmax(1) == found.argmax(1)))
    apart = _differ(found, expected) / float(expected.std())
    yield judge(f"{subject.name}: same answers", same, "≥", subject.limits.agreement)
    what = f"{subject.name}: largest difference of a score, in standard deviations"
    yield (
        tell(what, apart)
        if subject.limits.difference is None
        else judge(what, apart, "≤", subject.limits.difference)
    )
    times = place.choose(_TIMES, 1)
    elapsed_s = time_repeated(lambda: session.run(output, images[:_BATCH], target, _BATCH), times)
    yield tell(f"{subject.name}: images/s", len(images[:_BATCH]) / elapsed_s)


def _bind(
    session: Session, classifier: Classifier, images: Array
) -> tuple[Callable[[], Array], str, ImageInput]:
    output, target = classifier.head.output, classifier.image_input
    return lambda: session.run(output, images, target, _BATCH), output, target


def _keep_on_device(
    session: Session, output: str, target: ImageInput, images: Array, place: Place
) -> Callable[[], object]:
    binding = session.native.io_binding()
    binding.bind_ortvalue_input(
        target.name, ort.OrtValue.ortvalue_from_numpy(images, place.name, 0)
    )
    binding.bind_output(output, place.name)
    return lambda: session.native.run_with_iobinding(binding)


def _make_product(weight: Array) -> ModelProto:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["rows", "weight"], ["products"])],
        "product",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["batch", len(weight)])],
        [helper.make_tensor_value_info("products", TensorProto.FLOAT, ["batch", len(weight)])],
        [numpy_helper.from_array(weight, "weight")],
    )
    preload_cuda()
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _differ(found: Array, expected: Array) -> float:
    return float(np.abs(found - expected).max())


def _measure_error(found: Array, exact: npt.NDArray[np.float64]) -> float:
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))
