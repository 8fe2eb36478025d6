"""audit, the report: what the attacks found, and how it was judged."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nhle_onnx.auditing.context import AuditContext, Target
from nhle_onnx.hints import word, word_all
from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.audit import AuditReport, AuditSamples, Curves, Measure, Skipped
from nhle_onnx.values.outcomes import Outcomes, Role
from nhle_onnx.values.report import Accuracy, OtherKernels
from nhle_onnx.values.settings.audit import AuditSettings
from nhle_onnx.values.settings.shared import has_page
from nhle_onnx.values.verdict import Check
from nhle_onnx.verification.gates.judge import word_checks
from nhle_onnx.workflows.audit_inputs import Loaded
from nhle_onnx.workflows.classifier import TOOL, list_environment, summarize_file
from nhle_onnx.workflows.outcomes import describe_outcomes, draw_images


class Found(NamedTuple):
    """What the attacks found, and how it was judged."""

    measures: tuple[Measure, ...]
    skipped: tuple[Skipped, ...]
    accuracies: dict[Role, Accuracy]
    other_kernels: OtherKernels | None
    notes: tuple[str, ...]
    checks: tuple[Check, ...]


def make_report(
    settings: AuditSettings,
    loaded: Loaded,
    context: AuditContext,
    found: Found,
    *,
    device: str,
    curves: Curves,
    elapsed_s: dict[str, float],
) -> AuditReport:
    """Make the whole of the report."""
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


def _measure_flow(context: AuditContext, target: Target) -> tuple[float, ...]:
    """Measure the shares of forgotten samples that go to each class, [K]."""
    winners = target.answers.scores[context.is_forgotten].argmax(1)
    counts = np.bincount(winners, minlength=context.request.num_classes)
    return tuple(float(share) for share in counts / counts.sum())
