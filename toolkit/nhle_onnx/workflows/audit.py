"""audit: attack an edited model as somebody who holds the file could, and place what is found."""

from collections.abc import Callable
from dataclasses import replace
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
from nhle_onnx.auditing.judging import judge
from nhle_onnx.auditing.projection import project_features
from nhle_onnx.data.samples import open_samples
from nhle_onnx.data.source import SampleSource
from nhle_onnx.errors import InputRefusedError, NotFiniteError
from nhle_onnx.hints import hint, word, word_all
from nhle_onnx.runtime.kernels import may_saturate
from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.audit import (
    AuditReport,
    AuditSamples,
    Measure,
    Projection,
    Role,
    Skipped,
)
from nhle_onnx.values.kernels import Kernels
from nhle_onnx.values.report import Accuracy
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.audit import AuditSettings
from nhle_onnx.verification.accuracy import measure_accuracy, predict_classes
from nhle_onnx.verification.evidence import judge_evidence
from nhle_onnx.workflows.classifier import (
    TOOL,
    Classifier,
    list_environment,
    make_request,
    open_classifier,
    summarize_file,
)
from nhle_onnx.workflows.measure import (
    compare_kernels,
    describe_kernels,
    describe_suspicion,
    name_other,
)
from nhle_onnx.workflows.observer import Observer, Stopwatch


class Audit(NamedTuple):
    """The report, and the picture of the features."""

    report: AuditReport
    projection: Projection


class _Loaded(NamedTuple):
    """The models, and the samples."""

    classifiers: dict[Role, Classifier]
    request: ForgetRequest
    data: SampleSource
    members: SampleSource | None


def audit_model(settings: AuditSettings, observer: Observer) -> Audit:
    """Load, attack, judge. Changes no file."""
    watch = Stopwatch(observer)
    with watch.stage("load", "loading"):
        loaded = _load(settings)
    with watch.stage("answers", "reading each model's answers"):
        context = _set_up(settings, loaded)
    with watch.stage("import_torch", "starting torch"):
        # torch takes seconds to import: only here, once all that can be refused was refused
        from nhle_onnx.workflows.attacks import list_attacks  # noqa: PLC0415
    curves: dict[Role, tuple[float, ...]] = {}
    device, attacks = list_attacks(context, settings.device, curves, watch)
    measures, skipped = _run(attacks, watch)
    accuracies = {
        role: measure_accuracy(
            predict_classes(target.answers.scores), context.classes, context.request
        )
        for role, target in context.targets.items()
    }
    others = _measure_other_kernels(settings, loaded, context)
    other_kernels = compare_kernels(
        settings.kernels, {str(role): found for role, found in accuracies.items()}, others
    )
    notes, checks = judge(context, measures, settings.limits, accuracies["edited"].acc_f)
    totals = np.bincount(context.classes, minlength=context.request.num_classes).tolist()
    evidence, doubts = judge_evidence(
        accuracies["original"], accuracies["edited"], totals, context.request
    )
    classifiers = loaded.classifiers
    report = AuditReport(
        tool=TOOL,
        environment=list_environment(),
        command=settings.command,
        seed=settings.seed,
        model=summarize_file(classifiers["edited"].model),
        baseline=summarize_file(classifiers["original"].model),
        reference=(
            summarize_file(classifiers["reference"].model) if "reference" in classifiers else None
        ),
        labels=classifiers["original"].labels,
        forget=context.forgotten,
        samples=AuditSamples(
            attack=int(context.is_attack.sum()),
            judge=int((~context.is_attack).sum()),
            members=len(context.member_classes),
            source=str(settings.data),
        ),
        preprocess=classifiers["original"].preprocess,
        provider=open_session(classifiers["edited"].model.proto, settings.provider).provider,
        kernels=settings.kernels,
        device=device,
        accuracies=accuracies,
        other_kernels=other_kernels,
        flows={role: _measure_flow(context, target) for role, target in context.targets.items()},
        curves=curves,
        measures=measures,
        skipped=tuple(
            replace(each, reason=word(each.reason, settings.wording)) for each in skipped
        ),
        elapsed_s=watch.elapsed_s,
        notes=word_all(
            (
                *describe_suspicion(accuracies["original"]),
                *notes,
                *doubts,
                *describe_kernels(other_kernels),
            ),
            settings.wording,
        ),
        checks=(*checks, *evidence),
    )
    return Audit(report, project_features(context))


def _load(settings: AuditSettings) -> _Loaded:
    classifiers: dict[Role, Classifier] = {
        "original": open_classifier(settings.baseline, settings.flags),
        "edited": open_classifier(settings.model, settings.flags),
    }
    if settings.reference:
        classifiers["reference"] = open_classifier(settings.reference, settings.flags)
    for classifier in classifiers.values():
        _check_outputs(settings, classifier)
    original = classifiers["original"]
    for role, classifier in classifiers.items():
        _check_same_task(original, classifier, role)
    sources = [
        open_samples(path, original.image_input, original.preprocess, original.labels)
        for path in (settings.data, settings.members)
        if path
    ]
    request = make_request(original, settings.forget)
    data, members = sources[0], sources[1] if settings.members else None
    _check_samples(data, request)
    return _Loaded(classifiers, request, data, members)


def _check_outputs(settings: AuditSettings, classifier: Classifier) -> None:
    """The page may not replace a file with weights either."""
    if settings.page and settings.page.resolve() in classifier.model.files:
        message = f"{settings.page} is read by the audit, which changes no file"
        raise InputRefusedError(message, remedy=hint("Give {report} another path."))


def _check_same_task(original: Classifier, classifier: Classifier, role: Role) -> None:
    was, now = original.image_input, classifier.image_input
    if classifier.head.num_classes != original.head.num_classes:
        message = (
            f"{classifier.model.path} tells {classifier.head.num_classes} classes apart, "
            f"{original.model.path} {original.head.num_classes}"
        )
        raise InputRefusedError(message, remedy=f"Give a {role} model of the same classes.")
    if now.sample_shape != was.sample_shape:
        message = f"{classifier.model.path} and {original.model.path} take images of other shapes"
        raise InputRefusedError(message, remedy=f"Give a {role} model of the same input.")


def _check_samples(data: SampleSource, request: ForgetRequest) -> None:
    """Each forgotten class needs two samples, one for either side, and the rest two as well."""
    counts = np.bincount(data.classes, minlength=request.num_classes)
    short = [index for index in request.forget if counts[index] < 2]  # noqa: PLR2004 - see above
    if short or counts[list(request.retained)].max(initial=0) < 2:  # noqa: PLR2004
        wanted = f"class {short[0]}, which was to be forgotten" if short else "any retained class"
        message = f"{data.path} holds fewer than two samples of {wanted}"
        raise InputRefusedError(message, remedy=hint("Give {data} more images of it."))


def _set_up(settings: AuditSettings, loaded: _Loaded) -> AuditContext:
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
            answers=_read(settings, classifier, inputs, settings.kernels),
            member_answers=(
                _read(settings, classifier, member_inputs, settings.kernels)
                if len(member_inputs)
                else None
            ),
        )
        for role, classifier in loaded.classifiers.items()
    }
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
    )


def _read(
    settings: AuditSettings,
    classifier: Classifier,
    images: npt.NDArray[np.float32],
    kernels: Kernels,
) -> Answers:
    try:
        return read_answers(
            classifier.model.proto, classifier.head, classifier.image_input, images,
            provider=settings.provider, kernels=kernels, batch_size=settings.batch_size,
        )  # fmt: skip
    except CannotRunError as error:
        message = f"{classifier.model.path}: {error}"
        raise NotFiniteError(message, remedy="Nothing can be said of such a model.") from error


def _measure_other_kernels(
    settings: AuditSettings, loaded: _Loaded, context: AuditContext
) -> dict[str, Accuracy]:
    """Each model's accuracy by the kernels that do not judge, where they can differ here."""
    other = name_other(settings.kernels)
    return {
        role: measure_accuracy(
            predict_classes(_read(settings, classifier, context.inputs, other).scores),
            context.classes,
            context.request,
        )
        for role, classifier in loaded.classifiers.items()
        if may_saturate(classifier.model.proto)
    }


def _run(
    attacks: dict[str, Callable[[], tuple[Measure, ...]]], watch: Stopwatch
) -> tuple[tuple[Measure, ...], tuple[Skipped, ...]]:
    """Every attack; one that cannot run is listed with its reason."""
    measures: list[Measure] = []
    skipped: list[Skipped] = []
    for name, attack in attacks.items():
        with watch.stage(name, f"attack: {name.replace('_', ' ')}"):
            try:
                measures += attack()
            except CannotRunError as error:
                skipped.append(Skipped(attack=name, reason=error.args[0]))
    return tuple(measures), tuple(skipped)


def _measure_flow(context: AuditContext, target: Target) -> tuple[float, ...]:
    """The shares of forgotten samples that go to each class, [K]."""
    winners = target.answers.scores[context.is_forgotten].argmax(1)
    counts = np.bincount(winners, minlength=context.request.num_classes)
    return tuple(float(share) for share in counts / counts.sum())
