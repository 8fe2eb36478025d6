"""unlearn, the report: what was done and measured, and the verdict on it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nhle_onnx.graph.regular_files import digest_regular
from nhle_onnx.hints import word_all
from nhle_onnx.release.bom import render_bom
from nhle_onnx.release.formats.choose import render_as
from nhle_onnx.release.provenance import make_statement
from nhle_onnx.release.report import render_json
from nhle_onnx.unlearning.cwm import IMPORTANCE_SHARE, resolve_mask
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.detection import EditReport
from nhle_onnx.values.outcomes import Outcomes
from nhle_onnx.values.report import Accuracy, OtherKernels, UnlearnReport, Unmasked
from nhle_onnx.values.settings.unlearn import UnlearnSettings
from nhle_onnx.values.summary import FileSummary
from nhle_onnx.values.verdict import Check
from nhle_onnx.verification.accuracy import compute_accuracy, subtract
from nhle_onnx.verification.changes import Changes, list_outside
from nhle_onnx.verification.gates.judge import word_checks
from nhle_onnx.verification.gates.terms import Counted
from nhle_onnx.workflows.advice import advise
from nhle_onnx.workflows.classifier import TOOL, list_environment, summarize_model
from nhle_onnx.workflows.conversion import Conversion
from nhle_onnx.workflows.masking import Masked
from nhle_onnx.workflows.observer import Stopwatch
from nhle_onnx.workflows.other_kernels import compare_kernels, describe_kernels
from nhle_onnx.workflows.pages import draw_page
from nhle_onnx.workflows.plan import Plan
from nhle_onnx.workflows.training_result import TrainingResult, describe_method

_MAX_GROWTH_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Measurements of the edited model; `unmasked` with the original head.

    `checks` and `notes` are about its other outputs.
    """

    after: ClassCounts
    unmasked: ClassCounts
    by_other_kernels: Accuracy | None
    changes: Changes
    outcomes: Outcomes | None
    checks: tuple[Check, ...]
    notes: tuple[str, ...]


def render_report(settings: UnlearnSettings, report: EditReport) -> dict[Path, bytes]:
    """Render the report as JSON and, if asked for, as a page and a bill of materials."""
    rendered = {settings.report_path: render_json(report).encode()}
    if settings.bom:
        rendered[settings.bom] = render_bom(report).encode()
    if settings.page:
        rendered[settings.page] = render_as(settings.page, report, lambda: draw_page(report))
    return rendered


def _judge(
    plan: Plan, masked: Masked, measured: Measured, size_bytes: int
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """Check the gates on accuracy, and what the edit may change in the file."""
    options, head = plan.settings.options, plan.classifier.head
    gates, notes = plan.judge.judge(
        Counted(
            before=plan.counted,
            after=measured.after,
            unmasked=measured.unmasked,
            judges_features=options.trains,
            is_tuning=plan.evaluation.is_tuning,
        )
    )
    layers = head.all_parts if options.masks else ()
    own = {name for part in layers for name in (part.weight, part.bias or "")}
    outside = list_outside(measured.changes, {*plan.names, *own, *masked.adopted})
    promises = [
        ("tensors_changed_outside_scope", len(outside), 0),
        ("graph_changes", int(not measured.changes.is_graph_same), 0),
        ("growth_bytes", size_bytes - plan.classifier.model.size_bytes, _MAX_GROWTH_BYTES),
    ]
    checks = tuple(
        Check(name=name, value=value, limit=limit, better="lower")
        for name, value, limit in promises
    )
    advice = advise(gates, options)
    return (*gates, *measured.checks, *checks), (*notes, *measured.notes, *advice)


def make_report(
    plan: Plan,
    training: TrainingResult,
    masked: Masked,
    measured: Measured,
    conversion: Conversion,
    edited: FileSummary,
    watch: Stopwatch,
) -> UnlearnReport:
    """Make the whole of `report.json`."""
    settings, options = plan.settings, plan.settings.options
    checks, notes = _judge(plan, masked, measured, edited.size_bytes)
    after = compute_accuracy(measured.after, plan.request)
    other_kernels = _compare_kernels(plan, measured, after)
    notes = (*masked.notes, *plan.notes, *notes, *describe_kernels(other_kernels))
    report = UnlearnReport(
        tool=TOOL,
        environment=list_environment(),
        command=settings.command,
        seed=options.seed,
        model=summarize_model(plan.classifier),
        edited=edited,
        labels=plan.classifier.labels,
        forget=plan.request.forget,
        samples=plan.samples,
        preprocess=plan.classifier.preprocess,
        method=_describe_method(plan, training),
        provider=plan.provider,
        kernels=settings.kernels,
        device=training.device,
        before=plan.before,
        after=after,
        unmasked=Unmasked(acc_f=compute_accuracy(measured.unmasked, plan.request).acc_f),
        delta_acc_r=subtract(after.acc_r, plan.before.acc_r),
        other_kernels=other_kernels,
        changed_tensors=measured.changes.changed,
        added_tensors=measured.changes.added,
        trajectory=training.points,
        elapsed_s=watch.elapsed_s,
        notes=word_all((*notes, *conversion.notes), settings.wording),
        also=conversion.files,
        outcomes=measured.outcomes,
        checks=word_checks((*checks, *conversion.checks), settings.wording),
    )
    return replace(report, provenance=make_statement(report, _digest_sources(plan)))


def _compare_kernels(plan: Plan, measured: Measured, after: Accuracy) -> OtherKernels | None:
    before, found = plan.before_by_other_kernels, measured.by_other_kernels
    others = {"before": before, "after": found} if before and found else {}
    return compare_kernels(plan.settings.kernels, {"before": plan.before, "after": after}, others)


def _describe_method(plan: Plan, training: TrainingResult) -> dict[str, Any]:
    options = plan.settings.options
    mask = resolve_mask(options.mask, plan.classifier.head)
    method = describe_method(plan.settings, mask, training)
    if options.masks and options.mask == "importance":
        method["importance_share"] = IMPORTANCE_SHARE
    return method


def _digest_sources(plan: Plan) -> dict[str, str | None]:
    """Return the samples that were read, by path, with a digest of each that is a single file."""
    samples = plan.samples
    named = (samples.source, samples.anchor_source, samples.eval_source)
    paths = [path for path in map(Path, dict.fromkeys(named)) if path.exists()]
    return {str(path): digest_regular(path) if path.is_file() else None for path in paths}


def describe_plan(plan: Plan) -> dict[str, Any]:
    """Describe what a dry run shows: all decisions, and the model as given."""
    settings = plan.settings
    return {
        "schema": "nhle-onnx/plan/v1",
        "model": summarize_model(plan.classifier),
        "labels": plan.classifier.labels,
        "forget": plan.request.forget,
        "samples": plan.samples,
        "preprocess": plan.classifier.preprocess,
        "method": settings.options,
        "tensors": plan.names,
        "provider": plan.provider,
        "before": plan.before,
        "would_write": [str(path) for path in settings.outputs],
        "notes": word_all(
            (*plan.mask_notes, *plan.notes),
            settings.wording,
        ),
    }
