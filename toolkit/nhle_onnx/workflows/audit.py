"""audit: attack an edited model as anyone with the file could, and judge what is found."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nhle_onnx.auditing.context import AuditContext
from nhle_onnx.auditing.projection import project_features
from nhle_onnx.runtime.kernels import may_saturate
from nhle_onnx.values.audit import AuditReport, Curves, Measure, Projection, Skipped
from nhle_onnx.values.detection_audit import DetectionAuditReport
from nhle_onnx.values.report import Accuracy
from nhle_onnx.values.settings.audit import AuditSettings
from nhle_onnx.values.verdict import Check
from nhle_onnx.verification.accuracy import (
    claim_forgotten,
    count_hits,
    measure_accuracy,
    predict_classes,
)
from nhle_onnx.verification.gates.judge import Judge
from nhle_onnx.verification.gates.terms import Counted
from nhle_onnx.workflows.audit_gates import judge_attacks
from nhle_onnx.workflows.audit_inputs import Loaded, load_inputs, read_model, set_up
from nhle_onnx.workflows.audit_report import Found, make_report
from nhle_onnx.workflows.detection.audit import audit_detector
from nhle_onnx.workflows.detection.subject import DetectorFoundError
from nhle_onnx.workflows.measure import Evaluation, describe_suspicion, digest_images
from nhle_onnx.workflows.observer import Observer, Stopwatch
from nhle_onnx.workflows.other_kernels import compare_kernels, describe_kernels, name_other
from nhle_onnx.workflows.other_outputs import judge_other_outputs


class Audit(NamedTuple):
    """The report, and the picture of the features; there is none of a detector's."""

    report: AuditReport | DetectionAuditReport
    projection: Projection | None = None


def audit_model(settings: AuditSettings, observer: Observer) -> Audit:
    """Load, attack, judge. Changes no file."""
    watch = Stopwatch(observer)
    try:
        with watch.stage("load", "loading"):
            loaded = load_inputs(settings)
    except DetectorFoundError:
        return Audit(audit_detector(settings, watch))
    return _audit_classifier(settings, loaded, watch)


def _audit_classifier(settings: AuditSettings, loaded: Loaded, watch: Stopwatch) -> Audit:
    with watch.stage("answers", "reading each model's answers"):
        context = set_up(settings, loaded)
    with watch.stage("import_torch", "starting torch"):
        # torch takes seconds to import: only here, once all that can be refused was refused
        from nhle_onnx.workflows.attack_runs import (  # noqa: PLC0415
            describe_left_out,
            list_attacks,
            run_attacks,
        )
        from nhle_onnx.workflows.attacks import ATTACKS  # noqa: PLC0415
    curves: Curves = {}
    device, attacks = list_attacks(ATTACKS, context, settings, curves, watch)
    measures, skipped = run_attacks(attacks, watch)
    loaded = loaded._replace(notes=(*loaded.notes, *describe_left_out(ATTACKS, settings.effort)))
    found = _judge(settings, loaded, context, (measures, skipped))
    report = make_report(
        settings, loaded, context, found, device=device, curves=curves, elapsed_s=watch.elapsed_s
    )
    return Audit(report, project_features(context))


def _judge(
    settings: AuditSettings,
    loaded: Loaded,
    context: AuditContext,
    attacked: tuple[tuple[Measure, ...], tuple[Skipped, ...]],
) -> Found:
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
    return Found(
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
    """Mark images that equal one before them of the same class, [N]."""
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
