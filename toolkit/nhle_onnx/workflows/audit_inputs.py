"""audit, what it is given: models that fit each other, samples, and what each model answers."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nhle_onnx.auditing.context import (
    Answers,
    AuditContext,
    CannotRunError,
    Target,
    read_answers,
    split_halves,
)
from nhle_onnx.data.labels import parse_request
from nhle_onnx.data.samples import open_samples
from nhle_onnx.data.source import SampleSource
from nhle_onnx.errors import InputRefusedError, NotFiniteError
from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.unused import remove_unused
from nhle_onnx.hints import hint
from nhle_onnx.release.patch.container import open_patch
from nhle_onnx.text import to_line
from nhle_onnx.values.kernels import Kernels
from nhle_onnx.values.model import OnnxModel
from nhle_onnx.values.outcomes import Role
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.audit import AuditSettings
from nhle_onnx.workflows.classifier import (
    Classifier,
    open_classifier,
    require_all_classes,
    require_same_task,
)
from nhle_onnx.workflows.stability import TRIED, steady

_SHOWN = 8


class Loaded(NamedTuple):
    """The models, and the samples."""

    classifiers: dict[Role, Classifier]
    request: ForgetRequest
    data: SampleSource
    members: SampleSource | None
    named_by_patch: tuple[int, ...] | None
    notes: tuple[str, ...]


def load_inputs(settings: AuditSettings) -> Loaded:
    """Open models and samples. Raises InputRefusedError where they do not fit each other."""
    classifiers: dict[Role, Classifier] = {
        "original": open_classifier(settings.baseline, settings.flags, (settings.model,)),
        "edited": open_classifier(settings.model, settings.flags, (settings.baseline,)),
    }
    if settings.reference:
        classifiers["reference"] = open_classifier(
            settings.reference, settings.flags, (settings.baseline, settings.model)
        )
    for classifier in classifiers.values():
        require_all_classes(classifier, "an audit")
        refuse_page(settings, classifier.model)
    original = classifiers["original"]
    for role, classifier in classifiers.items():
        require_same_task(original, classifier, f"{role} model")
    sources = [
        open_samples(path, original.image_input, original.preprocess, original.labels)
        for path in (settings.data, settings.members)
        if path
    ]
    request = parse_request(settings.forget, original.labels)
    data, members = sources[0], sources[1] if settings.members else None
    _check_samples(data, request)
    images = data.read(range(min(TRIED, len(data.classes))))
    found = {role: steady(classifier, images) for role, classifier in classifiers.items()}
    return Loaded(
        classifiers={role: classifier for role, (classifier, _) in found.items()},
        request=request,
        data=data,
        members=members,
        named_by_patch=_read_patch(settings, classifiers) if settings.patch else None,
        notes=(
            *dict.fromkeys(
                (
                    *(note for _, notes in found.values() for note in notes),
                    *(note for source in sources for note in source.notes),
                )
            ),
            *_describe_unused(classifiers["edited"].model),
        ),
    )


def _describe_unused(model: OnnxModel) -> tuple[str, ...]:
    """Note what a file holds beside its network: earlier weights may be among it."""
    copy = copy_model(model.proto)
    names = [
        *remove_unused(copy, model.constants),
        *(f"bytes of {name}" for name in model.unused_bytes),
    ]
    if not names:
        return ()
    shown = ", ".join(map(to_line, names[:_SHOWN]))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (f"{model.path} holds what no output needs, which may be old weights: {shown}{more}",)


def _read_patch(
    settings: AuditSettings, classifiers: Mapping[Role, Classifier]
) -> tuple[int, ...] | None:
    """Return the classes that a patch's manifest names. Refuse a patch between other models."""
    if settings.patch is None:
        return None
    manifest = open_patch(settings.patch).manifest
    models = (classifiers["original"].model, classifiers["edited"].model)
    for model, files in zip(models, (manifest.base, manifest.result), strict=True):
        digests = {model.sha256, *model.sidecars.values()}
        if digests != {file.sha256 for file in files}:
            message = f"{settings.patch} is not for {model.path}: the digests differ"
            raise InputRefusedError(
                message, remedy=hint("Give {patch} the patch from {baseline} to the edited model.")
            )
    return tuple(sorted(manifest.forget))


def set_up(settings: AuditSettings, loaded: Loaded) -> AuditContext:
    """Read each model's answers, and share the samples out between attacker and judge."""
    inputs = loaded.data.read(range(len(loaded.data.classes)))
    member_inputs = inputs[:0]
    member_classes = loaded.data.classes[:0]
    if loaded.members is not None:
        chosen = np.flatnonzero(np.isin(loaded.members.classes, loaded.request.forget))
        member_inputs = loaded.members.read(chosen.tolist())
        member_classes = loaded.members.classes[chosen]

    targets = {
        role: Target(
            model=classifier.model,
            layout=classifier.head,
            image_input=classifier.image_input,
            answers=read_model(settings, classifier, inputs, settings.kernels),
            member_answers=(
                read_model(settings, classifier, member_inputs, settings.kernels)
                if len(member_inputs)
                else None
            ),
        )
        for role, classifier in loaded.classifiers.items()
    }
    _check_independent(targets)
    return AuditContext(
        request=loaded.request,
        inputs=inputs,
        classes=loaded.data.classes,
        is_attack=split_halves(loaded.data.classes, settings.seed),
        member_classes=member_classes,
        targets=targets,
        provider=settings.provider,
        kernels=settings.kernels,
        batch_size=settings.batch_size,
        seed=settings.seed,
        named_by_patch=loaded.named_by_patch,
    )


def read_model(
    settings: AuditSettings,
    classifier: Classifier,
    images: npt.NDArray[np.float32],
    kernels: Kernels,
) -> Answers:
    """Read a model's answers to images [N, ...]. Raises NotFiniteError where it gives none."""
    try:
        return read_answers(
            classifier.model.proto, classifier.head, classifier.image_input, images,
            provider=settings.provider, kernels=kernels, batch_size=settings.batch_size,
        )  # fmt: skip
    except CannotRunError as error:
        message = f"{classifier.model.path}: {error}"
        raise NotFiniteError(message, remedy="Check the model's weights.") from error


def refuse_page(settings: AuditSettings, model: OnnxModel) -> None:
    """Refuse a page in place of a file of the model, weights included."""
    if settings.page and settings.page.resolve() in model.files:
        message = f"{settings.page} is read by the audit, which changes no file"
        raise InputRefusedError(message, remedy=hint("Give {report} another path."))


def _check_samples(data: SampleSource, request: ForgetRequest) -> None:
    """Require two samples of each forgotten class, one for each half, and two of the rest."""
    counts = np.bincount(data.classes, minlength=request.num_classes)
    short = [index for index in request.forget if counts[index] < 2]  # noqa: PLR2004 - see above
    if short or counts[list(request.retained)].max(initial=0) < 2:  # noqa: PLR2004
        wanted = f"class {short[0]}, which was to be forgotten" if short else "any retained class"
        message = f"{data.path} holds fewer than two samples of {wanted}"
        raise InputRefusedError(message, remedy=hint("Give {data} more images of it."))


def _check_independent(targets: Mapping[Role, Target]) -> None:
    """Refuse a reference that is one of the other models: it would agree with it in everything."""
    reference = targets.get("reference")
    if reference is None:
        return
    for role in ("original", "edited"):
        if np.array_equal(reference.answers.scores, targets[role].answers.scores):
            message = (
                f"{reference.model.path} answers exactly as the {role} model: they are the same"
            )
            raise InputRefusedError(
                message,
                remedy=hint("Give {reference} a model that was trained without the class."),
            )
