"""audit: attack an edited model as anyone with the file could, and judge what is found."""

from collections.abc import Callable, Mapping
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
from nhle_onnx.values.verdict import Check
from nhle_onnx.verification.accuracy import (
    claim_forgotten,
    count_hits,
    measure_accuracy,
    predict_classes,
)
from nhle_onnx.verification.gates import Counted, Judge, word_checks
from nhle_onnx.workflows.audit_gates import judge_attacks
from nhle_onnx.workflows.classifier import (
    TOOL,
    Classifier,
    list_environment,
    make_request,
    open_classifier,
    require_same_task,
    summarize_file,
)
from nhle_onnx.workflows.measure import (
    Evaluation,
    compare_kernels,
    describe_kernels,
    describe_suspicion,
    digest_images,
    name_other,
)
from nhle_onnx.workflows.observer import Observer, Stopwatch
from nhle_onnx.workflows.other_outputs import judge_other_outputs
from nhle_onnx.workflows.stability import TRIED, steady


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
    notes: tuple[str, ...]


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
    device, attacks = list_attacks(context, settings.device, settings.repeats, curves, watch)
    measures, skipped = _run(attacks, watch)
    accuracies = {
        role: measure_accuracy(
            predict_classes(target.answers.scores), context.classes, context.request
        )
        for role, target in context.targets.items()
    }
    other_kernels = compare_kernels(
        settings.kernels,
        {str(role): found for role, found in accuracies.items()},
        _measure_other_kernels(settings, loaded, context),
    )
    gates, doubts = _judge_answers(settings, context, loaded)
    notes, checks = judge_attacks(context, measures, skipped, settings.limits)
    others, silent = judge_other_outputs(
        loaded.classifiers["edited"],
        loaded.classifiers["edited"].model.proto,
        Evaluation(
            samples=loaded.data, indices=range(len(loaded.data.classes)), source=str(settings.data)
        ),
        _make_judge(settings, context, loaded),
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
                *silent,
                *loaded.notes,
                *describe_kernels(other_kernels),
            ),
            settings.wording,
        ),
        checks=word_checks((*gates, *others, *checks), settings.wording),
    )
    return Audit(report, project_features(context))


def _make_judge(settings: AuditSettings, context: AuditContext, loaded: _Loaded) -> Judge:
    return Judge(
        request=context.request,
        limits=settings.limits,
        labels=loaded.classifiers["original"].labels,
    )


def _judge_answers(
    settings: AuditSettings, context: AuditContext, loaded: _Loaded
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """Judge the edited model's own answers by the gates that all commands share."""
    before, after = (
        count_hits(
            predict_classes(
                context.targets[role].answers.scores,
                claimed=claim_forgotten(context.classes, context.request),
            ),
            context.classes,
            context.request.num_classes,
            context.classes[_find_copies(context)],
        )
        for role in ("original", "edited")
    )
    return _make_judge(settings, context, loaded).judge(
        Counted(before=before, after=after, judges_features=False)
    )


def _find_copies(context: AuditContext) -> npt.NDArray[np.bool_]:
    """Which images show what one before them of the same class shows, [N]."""
    shown = np.stack([digest_images(context.inputs), context.classes], 1)
    is_copy = np.ones(len(shown), bool)
    is_copy[np.unique(shown, axis=0, return_index=True)[1]] = False
    return is_copy


def _load(settings: AuditSettings) -> _Loaded:
    files = {"original": settings.baseline, "edited": settings.model}
    classifiers: dict[Role, Classifier] = {
        "original": open_classifier(settings.baseline, settings.flags, (settings.model,)),
        "edited": open_classifier(settings.model, settings.flags, (settings.baseline,)),
    }
    if settings.reference:
        classifiers["reference"] = open_classifier(
            settings.reference, settings.flags, tuple(files.values())
        )
    for classifier in classifiers.values():
        _check_outputs(settings, classifier)
    original = classifiers["original"]
    for role, classifier in classifiers.items():
        require_same_task(original, classifier, f"{role} model")
    sources = [
        open_samples(path, original.image_input, original.preprocess, original.labels)
        for path in (settings.data, settings.members)
        if path
    ]
    request = make_request(original, settings.forget)
    data, members = sources[0], sources[1] if settings.members else None
    _check_samples(data, request)
    images = data.read(range(min(TRIED, len(data.classes))))
    found = {role: steady(classifier, images) for role, classifier in classifiers.items()}
    return _Loaded(
        classifiers={role: classifier for role, (classifier, _) in found.items()},
        request=request,
        data=data,
        members=members,
        notes=tuple(dict.fromkeys(note for _, notes in found.values() for note in notes)),
    )


def _check_independent(targets: Mapping[Role, Target]) -> None:
    """Refuse a reference that is one of the other models: it would agree with it in everything."""
    reference = targets.get("reference")
    if reference is None:
        return
    for role in ("original", "edited"):
        if np.array_equal(reference.answers.scores, targets[role].answers.scores):
            message = f"{reference.model.path} answers exactly as the {role} model: it is the same"
            raise InputRefusedError(
                message,
                remedy=hint("Give {reference} a model that was trained without the class."),
            )


def _check_outputs(settings: AuditSettings, classifier: Classifier) -> None:
    """Refuse a page in place of a file of the model, weights included."""
    if settings.page and settings.page.resolve() in classifier.model.files:
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
    """Measure each model with the kernels that do not judge, if they can differ here."""
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
    """Run every attack; list one that cannot run with its reason."""
    measures: list[Measure] = []
    skipped: list[Skipped] = []
    for name, attack in attacks.items():
        with watch.stage(name, f"attack: {name.replace('_', ' ')}"):
            try:
                measures += attack()
            except CannotRunError as error:
                skipped.append(
                    Skipped(attack=name, reason=error.args[0], leaves_gap=error.leaves_gap)
                )
    return tuple(measures), tuple(skipped)


def _measure_flow(context: AuditContext, target: Target) -> tuple[float, ...]:
    """Measure the shares of forgotten samples that go to each class, [K]."""
    winners = target.answers.scores[context.is_forgotten].argmax(1)
    counts = np.bincount(winners, minlength=context.request.num_classes)
    return tuple(float(share) for share in counts / counts.sum())
