"""audit: attack an edited model as anyone with the file could, and judge what is found."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nhle_onnx.auditing.context import (
    AuditContext,
    CannotRunError,
    Target,
)
from nhle_onnx.auditing.projection import project_features
from nhle_onnx.hints import word, word_all
from nhle_onnx.runtime.kernels import may_saturate
from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.audit import (
    AuditReport,
    AuditSamples,
    Measure,
    Projection,
    Skipped,
)
from nhle_onnx.values.outcomes import Outcomes, Role
from nhle_onnx.values.report import Accuracy, OtherKernels
from nhle_onnx.values.settings.audit import AuditSettings
from nhle_onnx.values.settings.shared import has_page
from nhle_onnx.values.verdict import Check
from nhle_onnx.verification.accuracy import (
    claim_forgotten,
    count_hits,
    measure_accuracy,
    predict_classes,
)
from nhle_onnx.verification.gates import Counted, Judge, word_checks
from nhle_onnx.workflows.audit_gates import judge_attacks
from nhle_onnx.workflows.audit_inputs import Loaded, load_inputs, read_model, set_up
from nhle_onnx.workflows.classifier import (
    TOOL,
    list_environment,
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
from nhle_onnx.workflows.outcomes import describe_outcomes, draw_images


class Audit(NamedTuple):
    """The report, and the picture of the features."""

    report: AuditReport
    projection: Projection


def audit_model(settings: AuditSettings, observer: Observer) -> Audit:
    """Load, attack, judge. Changes no file."""
    watch = Stopwatch(observer)
    with watch.stage("load", "loading"):
        loaded = load_inputs(settings)
    with watch.stage("answers", "reading each model's answers"):
        context = set_up(settings, loaded)
    with watch.stage("import_torch", "starting torch"):
        # torch takes seconds to import: only here, once all that can be refused was refused
        from nhle_onnx.workflows.attacks import (  # noqa: PLC0415
            describe_left_out,
            list_attacks,
        )
    curves: dict[Role, tuple[float, ...]] = {}
    device, attacks = list_attacks(context, settings, curves, watch)
    measures, skipped = _run(attacks, watch)
    loaded = loaded._replace(notes=(*loaded.notes, *describe_left_out(settings.effort)))
    found = _judge(settings, loaded, context, (measures, skipped))
    report = _make_report(
        settings, loaded, context, found, device=device, curves=curves, elapsed_s=watch.elapsed_s
    )
    return Audit(report, project_features(context))


class _Found(NamedTuple):
    """What the attacks found, and how it was judged."""

    measures: tuple[Measure, ...]
    skipped: tuple[Skipped, ...]
    accuracies: dict[Role, Accuracy]
    other_kernels: OtherKernels | None
    notes: tuple[str, ...]
    checks: tuple[Check, ...]


def _judge(
    settings: AuditSettings,
    loaded: Loaded,
    context: AuditContext,
    attacked: tuple[tuple[Measure, ...], tuple[Skipped, ...]],
) -> _Found:
    """Judge the answers, the attacks and the other outputs."""
    measures, skipped = attacked
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
    return _Found(
        measures=measures,
        skipped=skipped,
        accuracies=accuracies,
        other_kernels=other_kernels,
        notes=(
            *describe_suspicion(accuracies["original"]),
            *notes,
            *doubts,
            *silent,
            *loaded.notes,
            *describe_kernels(other_kernels),
        ),
        checks=(*gates, *others, *checks),
    )


def _make_report(
    settings: AuditSettings,
    loaded: Loaded,
    context: AuditContext,
    found: _Found,
    *,
    device: str,
    curves: dict[Role, tuple[float, ...]],
    elapsed_s: dict[str, float],
) -> AuditReport:
    classifiers = loaded.classifiers
    return AuditReport(
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
        effort=settings.effort,
        accuracies=found.accuracies,
        other_kernels=found.other_kernels,
        flows={role: _measure_flow(context, target) for role, target in context.targets.items()},
        curves=curves,
        measures=found.measures,
        skipped=tuple(
            replace(each, reason=word(each.reason, settings.wording)) for each in found.skipped
        ),
        elapsed_s=elapsed_s,
        notes=word_all(found.notes, settings.wording),
        outcomes=_describe_outcomes(settings, loaded, context) if has_page(settings.page) else None,
        checks=word_checks(found.checks, settings.wording),
    )


def _describe_outcomes(settings: AuditSettings, loaded: Loaded, context: AuditContext) -> Outcomes:
    data, count = loaded.data, len(context.classes)
    return describe_outcomes(
        {role: target.answers.scores for role, target in context.targets.items()},
        context.classes,
        context.request,
        settings.shown,
        lambda rows: draw_images(context.inputs[rows], data.target, data.preprocess),
        available=count,
        indices=range(count),
    )


def _make_judge(settings: AuditSettings, context: AuditContext, loaded: Loaded) -> Judge:
    return Judge(
        request=context.request,
        limits=settings.limits,
        labels=loaded.classifiers["original"].labels,
    )


def _judge_answers(
    settings: AuditSettings, context: AuditContext, loaded: Loaded
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """Judge the edited model's own answers by the gates that all commands share."""
    copies = context.classes[_find_copies(context)]
    before, after = (
        count_hits(
            predict_classes(
                context.targets[role].answers.scores,
                claimed=claim_forgotten(context.classes, context.request),
            ),
            context.classes,
            context.request.num_classes,
            copies,
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


def _measure_other_kernels(
    settings: AuditSettings, loaded: Loaded, context: AuditContext
) -> dict[str, Accuracy]:
    """Measure each model with the kernels that do not judge, if they can differ here."""
    other = name_other(settings.kernels)
    return {
        role: measure_accuracy(
            predict_classes(read_model(settings, classifier, context.inputs, other).scores),
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
