"""The parts of a kit that are the same whatever its model does."""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from nhle_onnx.errors import InputRefusedError, UnsupportedModelError
from nhle_onnx.graph.model_files import read_model_files
from nhle_onnx.hints import hint
from nhle_onnx.release.kit.contents import IMAGES, MODEL_FOLDER, encode_images
from nhle_onnx.release.kit.picking import choose_limit
from nhle_onnx.text import to_printable
from nhle_onnx.values.kit import (
    HostFigures,
    InputType,
    Kit,
    KitImages,
    KitModel,
    KitObjects,
    KitSamples,
)
from nhle_onnx.values.model import OnnxModel
from nhle_onnx.values.preprocess import ImageInput
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.kit import KitSettings
from nhle_onnx.verification.accuracy import measure_accuracy
from nhle_onnx.workflows.classifier import TOOL, Classifier
from nhle_onnx.workflows.detection.subject import Subject

NOTHING = -1  # the answer to an object that is not detected
_TYPES: dict[str, InputType] = {"float32": "float32", "float16": "float16"}
Classes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A kit that is not judged yet, with the files that it names, by their names in it."""

    kit: Kit
    data: dict[str, bytes]
    samples: KitSamples
    model: OnnxModel
    baseline: OnnxModel | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The classes [N] of images or objects, and what was answered here, by the model `after` and by
    the original `before`; NOTHING where an object is not detected.
    """

    classes: Classes
    after: Classes
    before: Classes | None
    objects: KitObjects | None = None


def draft_kit(
    settings: KitSettings,
    subject: Classifier | Subject,
    baseline: Classifier | Subject | None,
    images: npt.NDArray[np.float32],
    answers: Answers,
    *,
    output: str,
    request: ForgetRequest,
    samples: KitSamples,
) -> Draft:
    """Describe a kit of images [N, ...], with the model's unchanged files."""
    described, data = _describe_model(subject.model)
    dtype = check_fed(subject)
    data[IMAGES] = encode_images(images, dtype)
    kit = Kit(
        tool=TOOL,
        model=described,
        output=output,
        images=_describe_images(subject.image_input, dtype, data[IMAGES]),
        labels=subject.labels,
        forget=request.forget,
        classes=tuple(answers.classes.tolist()),
        expected=tuple(None if each == NOTHING else each for each in answers.after.tolist()),
        host=_measure_host(answers, request),
        limits=settings.limits,
        objects=answers.objects,
    )
    return Draft(
        kit=kit,
        data=data,
        samples=samples,
        model=subject.model,
        baseline=baseline.model if baseline else None,
    )


def _describe_model(model: OnnxModel) -> tuple[KitModel, dict[str, bytes]]:
    """Describe the model, and return its unchanged files by their names in the kit."""
    main, *sidecars = read_model_files(model).items()
    described = KitModel(
        file=f"{MODEL_FOLDER}/{to_printable(model.path.name)}",
        sha256=model.sha256,
        size_bytes=model.size_bytes,
        sidecars=dict(model.sidecars),
    )
    beside = {f"{MODEL_FOLDER}/{name}": content for name, content in sidecars}
    return described, {described.file: main[1], **beside}


def _describe_images(target: ImageInput, dtype: InputType, encoded: bytes) -> KitImages:
    return KitImages(
        file=IMAGES,
        sha256=hashlib.sha256(encoded).hexdigest(),
        input=target.name,
        dtype=dtype,
        shape=target.sample_shape,
        batch=target.batch or 1,
    )


def _measure_host(answers: Answers, request: ForgetRequest) -> HostFigures:
    """Measure what was answered here, by both models."""
    before = None
    if answers.before is not None:
        before = measure_accuracy(answers.before, answers.classes, request)
    return HostFigures(
        runtime=f"onnxruntime {ort.__version__}",
        provider="CPUExecutionProvider",
        before=before,
        after=measure_accuracy(answers.after, answers.classes, request),
    )


def check_fed(subject: Classifier | Subject) -> InputType:
    """Return the type of the model's input. Raises UnsupportedModelError for one that a kit's
    programs do not feed.
    """
    model, given = subject.model, subject.image_input.dtype
    dtype = _TYPES.get(given)
    if dtype is None:
        message = f"{model.path} takes {given}, which a kit's programs do not feed"
        raise UnsupportedModelError(message, remedy="Give the model a float32 or float16 input.")
    if model.constants:
        message = f"{model.path} has inputs beside the images, which a kit's programs do not feed"
        raise UnsupportedModelError(
            message, remedy="Make them initializers of the graph, so that they have defaults."
        )
    return dtype


def check_kept(settings: KitSettings, *subjects: Classifier | Subject | None) -> None:
    """Refuse to overwrite inputs."""
    files = {file for each in subjects if each for file in each.model.files}
    if settings.out.resolve() in {*files, settings.data.resolve()}:
        message = f"{settings.out} goes into the kit, and is never changed"
        raise InputRefusedError(message, remedy=hint("Give {out} another path."))


def require_forgotten(settings: KitSettings, classes: Classes, request: ForgetRequest) -> None:
    """Raise InputRefusedError where no sample is of a forgotten class."""
    if not np.isin(classes, request.forget).any():
        message = f"{settings.data} holds no sample of a forgotten class, so a kit proves nothing"
        raise InputRefusedError(message, remedy="Give data that include the forgotten classes.")


def count_most(settings: KitSettings, target: ImageInput) -> int:
    """Return how many images may go into the kit."""
    size = int(np.prod(target.sample_shape)) * np.dtype(target.dtype).itemsize
    return settings.limit or choose_limit(size)
