"""unlearn on a detector, second half: train, write back, mask, verify, write."""

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from onnx import ModelProto

from nhle_onnx.detection.restoring import restore_channels
from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.external import split_files
from nhle_onnx.graph.fixed_inputs import free_inputs
from nhle_onnx.graph.save import write_files
from nhle_onnx.graph.tensors import replace_tensors
from nhle_onnx.hints import word_all
from nhle_onnx.runtime.memory import give_back_memory
from nhle_onnx.unlearning.channel_mask import (
    list_own,
    mask_channels,
    resolve_channel_mask,
)
from nhle_onnx.values.detection import DetectionReport, Precision, ShownScene
from nhle_onnx.values.request import Mask
from nhle_onnx.values.settings.shared import has_page
from nhle_onnx.values.summary import FileSummary
from nhle_onnx.verification.accuracy import subtract
from nhle_onnx.verification.changes import compare_models, list_outside
from nhle_onnx.verification.gates.judge import word_checks
from nhle_onnx.workflows.classifier import TOOL, list_environment
from nhle_onnx.workflows.companions import list_beside
from nhle_onnx.workflows.detection.conversion import convert_detector
from nhle_onnx.workflows.detection.gates import judge_precision, judge_promises
from nhle_onnx.workflows.detection.measure import Reader, detect, judge, open_reader
from nhle_onnx.workflows.detection.plan import DetectionPlan
from nhle_onnx.workflows.detection.scenes import collect_scenes
from nhle_onnx.workflows.detection.subject import summarize
from nhle_onnx.workflows.file_facts import summarize_contents
from nhle_onnx.workflows.observer import Stopwatch
from nhle_onnx.workflows.training_result import TrainingResult, describe_method
from nhle_onnx.workflows.unlearn import round_updates
from nhle_onnx.workflows.unlearn_report import render_report

if TYPE_CHECKING:
    from nhle_onnx.values.outcomes import Role

_MAX_GROWTH_BYTES = 4096


def carry_out_detection(plan: DetectionPlan, watch: Stopwatch) -> DetectionReport:
    """Train, edit, verify, and write the edited detector and its report.

    All files are written even where a gate fails; the report says which.
    """
    settings, model = plan.settings, plan.subject.model
    training = _train(plan, watch)
    with watch.stage("edit", "writing the weights back and masking the class channels"):
        edited = _edit(plan, training)
        free = free_inputs(edited, model.constants)
        files = split_files(free, model.places, settings.edited_path)
    with watch.stage("verify", "verifying in ONNX Runtime"):
        after, unmasked = _measure(plan, edited, watch)
        scenes = _collect(plan, edited)
    with watch.stage("convert", "converting") if settings.also else nullcontext():
        conversion = convert_detector(plan, edited)
    summary = summarize_contents(settings.edited_path, files)
    report = _make_report(plan, training, edited, (after, unmasked), summary, watch)
    report = replace(
        report,
        checks=(*report.checks, *conversion.checks),
        also=conversion.files,
        scenes=scenes,
    )
    watch.observer.start_stage("saving")
    companions = list_beside(
        settings.edited_path.parent, model, plan.subject.labels, plan.subject.preprocess
    )
    write_files(
        files | conversion.contents | companions | render_report(settings, report),
        force=settings.force,
        commit_marker=settings.report_path,
    )
    return report


def rehearse_detection(plan: DetectionPlan, watch: Stopwatch) -> None:
    """Lower the detector and compare it with ONNX Runtime, as a run does before it trains."""
    if plan.settings.options.trains:
        with watch.stage("import_torch", "starting torch"):
            from nhle_onnx.workflows.detection.training import lower_detector  # noqa: PLC0415
        with watch.stage("lower", "lowering the graph to torch"):
            lower_detector(plan.subject, plan.images)


def describe_detection_plan(plan: DetectionPlan) -> dict[str, Any]:
    """Describe what a dry run shows: all decisions, and the detector as given."""
    return {
        "schema": "nhle-onnx/detection-plan/v1",
        "model": summarize(plan.subject),
        "forget": plan.request.forget,
        "samples": plan.samples,
        "preprocess": plan.subject.preprocess,
        "method": plan.settings.options,
        "tensors": plan.names,
        "provider": plan.reader.session.provider,
        "before": plan.before,
        "would_write": [str(path) for path in plan.settings.outputs],
        "notes": word_all(plan.notes, plan.settings.wording),
    }


def _train(plan: DetectionPlan, watch: Stopwatch) -> TrainingResult:
    if not plan.settings.options.trains:
        return TrainingResult()
    with watch.stage("import_torch", "starting torch"):
        # torch takes seconds to import: only here, once all that can be refused was refused
        from nhle_onnx.workflows.detection.training import train_detector  # noqa: PLC0415
    training = train_detector(plan, watch)
    give_back_memory(plan.subject.model.size_bytes)
    return training


def _edit(plan: DetectionPlan, training: TrainingResult) -> ModelProto:
    """Return a copy of the model with trained tensors and masked class channels."""
    edited = copy_model(plan.subject.model.proto)
    replace_tensors(edited, round_updates(edited, training.tensors))
    if plan.settings.options.masks:
        mask_channels(edited, plan.subject.detector, plan.request, _choose_mask(plan))
    return edited


def _choose_mask(plan: DetectionPlan) -> Mask:
    layers = plan.subject.detector.layers
    has_steps = any(layer.head.has_steps for layer in layers)
    return resolve_channel_mask(
        plan.settings.options.mask, plan.subject.detector, has_steps=has_steps
    )


def _measure(
    plan: DetectionPlan, edited: ModelProto, watch: Stopwatch
) -> tuple[Precision, Precision]:
    """Measure the edited model, and the same with the original's class channels."""
    subject, settings = plan.subject, plan.settings
    restored = restore_channels(edited, subject.detector, subject.model.proto)
    readers = [
        open_reader(subject, settings.provider, settings.kernels, proto)
        for proto in (edited, restored)
    ]
    truth = [boxes for boxes in plan.evaluation.boxes if boxes is not None]
    answers = detect(readers, plan.evaluation, watch.report_samples)
    after, unmasked = (judge(subject, each, truth, plan.request) for each in answers)
    return after, unmasked


def _collect(plan: DetectionPlan, edited: ModelProto) -> tuple[ShownScene, ...]:
    """Return what a page shows of single images."""
    settings, subject = plan.settings, plan.subject
    if not has_page(settings.page):
        return ()
    after = open_reader(subject, settings.provider, settings.kernels, edited)
    readers: dict[Role, Reader] = {"original": plan.reader, "edited": after}
    return collect_scenes(readers, plan.evaluation, plan.request, settings.shown)


def _make_report(
    plan: DetectionPlan,
    training: TrainingResult,
    edited: ModelProto,
    found: tuple[Precision, Precision],
    summary: FileSummary,
    watch: Stopwatch,
) -> DetectionReport:
    settings, subject, options = plan.settings, plan.subject, plan.settings.options
    after, unmasked = found
    changes = compare_models(subject.model.proto, edited)
    own = list_own(subject.detector.layers) if options.masks else frozenset()
    outside = list_outside(changes, {*plan.names, *own})
    growth = summary.size_bytes - subject.model.size_bytes
    promises = judge_promises(
        [
            ("tensors_changed_outside_scope", len(outside), 0),
            ("graph_changes", int(not changes.is_graph_same), 0),
            ("growth_bytes", growth, _MAX_GROWTH_BYTES),
        ]
    )
    gates = judge_precision(
        after, plan.before, unmasked, settings.limits, judges_features=options.trains
    )
    return DetectionReport(
        tool=TOOL,
        environment=list_environment(),
        command=settings.command,
        seed=options.seed,
        model=summarize(subject),
        edited=summary,
        labels=subject.labels,
        forget=plan.request.forget,
        samples=plan.samples,
        preprocess=subject.preprocess,
        method=describe_method(plan.settings, _choose_mask(plan), training),
        provider=plan.reader.session.provider,
        kernels=settings.kernels,
        device=training.device,
        before=plan.before,
        after=after,
        unmasked=unmasked,
        delta_map_r=subtract(after.map_r, plan.before.map_r),
        changed_tensors=changes.changed,
        added_tensors=changes.added,
        trajectory=training.points,
        elapsed_s=watch.elapsed_s,
        notes=word_all(plan.notes, settings.wording),
        checks=word_checks((*gates, *promises), settings.wording),
    )
