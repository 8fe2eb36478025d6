"""unlearn, second half: train, write back, mask, verify, report."""

import gc
import hashlib
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto

from nhle_onnx.errors import NotFiniteError, TrainingDivergedError
from nhle_onnx.graph.external import split_files
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.head.real_values import with_real_values
from nhle_onnx.graph.model_files import check_sidecars
from nhle_onnx.graph.save import write_files
from nhle_onnx.graph.subgraph import expose_tensors
from nhle_onnx.graph.tensors import list_tensors, read_tensors, replace_tensors
from nhle_onnx.graph.update_rounding import round_update
from nhle_onnx.hints import hint, word, word_all
from nhle_onnx.release.bom import render_bom
from nhle_onnx.release.provenance import make_statement
from nhle_onnx.release.report import render_json
from nhle_onnx.runtime.session import open_session
from nhle_onnx.unlearning.cwm import IMPORTANCE_SHARE
from nhle_onnx.values.report import Accuracy, Check, OtherKernels, UnlearnReport, Unmasked
from nhle_onnx.values.settings.unlearn import UnlearnSettings
from nhle_onnx.values.summary import FileSummary
from nhle_onnx.verification.changes import Changes, compare_models, list_outside
from nhle_onnx.verification.evidence import describe_before, judge_evidence
from nhle_onnx.verification.finite import check_finite, name_model
from nhle_onnx.verification.gates import make_gates
from nhle_onnx.workflows.classifier import TOOL, list_environment, summarize_model
from nhle_onnx.workflows.conversion import Conversion, convert_edited
from nhle_onnx.workflows.masking import Masked, mask_head
from nhle_onnx.workflows.measure import (
    compare_kernels,
    describe_kernels,
    load_classifier,
    measure_models,
    name_other,
    subtract,
)
from nhle_onnx.workflows.observer import Stopwatch
from nhle_onnx.workflows.plan import Plan
from nhle_onnx.workflows.training_result import TrainingResult

_MAX_GROWTH_BYTES = 4096
_DIVERGED = hint("Give a smaller {lr}, fewer {steps}, {loss=saturating}, or another {mask}.")
_MEND_INPUTS = "Mend the samples, or the preprocessing that made them."

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured on the edited model."""

    after: Accuracy
    unmasked: Unmasked
    changes: Changes
    other_kernels: OtherKernels | None


def carry_out(plan: Plan, watch: Stopwatch) -> UnlearnReport:
    """Train, edit, verify, and write the edited model and its report.

    All files are written even where a gate fails; the report says which. Raises
    UnsupportedModelError, DeviceUnavailableError or TrainingDivergedError before anything is
    written.
    """
    training = _train(plan, watch)
    with watch.stage("edit", "writing the weights back and masking the head"):
        edited, masked = _edit(plan, training)
        model, path = plan.classifier.model, plan.settings.edited_path
        files = split_files(edited, model.places, model.path, path)
        check_sidecars(model)  # of which `split_files` read just now what is kept
    with watch.stage("verify", "verifying in ONNX Runtime"):
        measured = _measure(plan, edited, watch)
    with watch.stage("convert", "converting") if plan.settings.also else nullcontext():
        conversion = convert_edited(plan, edited)
    summary = _summarize_edited(path, files)
    report = _make_report(plan, training, masked, measured, conversion, summary, watch)
    watch.observer.start_stage("saving")
    write_files(
        files | conversion.contents | _render(plan.settings, report),
        force=plan.settings.force,
        commit_marker=plan.settings.report_path,
    )
    return report


def _render(settings: UnlearnSettings, report: UnlearnReport) -> dict[Path, bytes]:
    """The report, for programs and, where asked for, for people and for inventories."""
    rendered = {settings.report_path: render_json(report).encode()}
    if settings.bom:
        rendered[settings.bom] = render_bom(report).encode()
    if settings.page:
        # matplotlib is slow to import: only where a page is wanted
        from nhle_onnx.release.page.content import describe_unlearning  # noqa: PLC0415
        from nhle_onnx.release.page.render import render_page  # noqa: PLC0415

        rendered[settings.page] = render_page(describe_unlearning(report)).encode()
    return rendered


def _summarize_edited(path: Path, files: dict[Path, bytes]) -> FileSummary:
    digests = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
    return FileSummary(
        path=str(path),
        sha256=digests[path],
        size_bytes=sum(map(len, files.values())),
        sidecars={file.name: digest for file, digest in digests.items() if file != path},
    )


def _train(plan: Plan, watch: Stopwatch) -> TrainingResult:
    if not plan.settings.options.trains:
        return TrainingResult()
    with watch.stage("import_torch", "starting torch"):
        # torch takes seconds to import: only here, once all that can be refused was refused
        from nhle_onnx.workflows.training import train_features  # noqa: PLC0415
    training = train_features(plan, watch)
    gc.collect()  # torch's modules hold themselves, and with that their weights
    return training


def _edit(plan: Plan, training: TrainingResult) -> tuple[ModelProto, Masked]:
    """A copy of the model with the trained tensors and the head masked, and how that was done."""
    edited = ModelProto()
    edited.CopyFrom(plan.classifier.model.proto)
    replace_tensors(edited, _round_updates(edited, training.tensors))
    options = plan.settings.options
    if not options.masks:
        return edited, Masked()
    activations = _read_activations(plan, edited) if options.mask == "importance" else None
    return edited, mask_head(edited, plan.classifier.head, plan.request, options, activations)


def _round_updates(proto: ModelProto, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """New values of float32 tensors in whole steps from the old: few bits each in a patch."""
    kinds = {name: tensor.data_type for name, tensor in list_tensors(proto)}
    floats = tuple(name for name in tensors if kinds[name] == TensorProto.FLOAT)
    old = read_tensors(proto, floats)
    return {
        name: round_update(old[name], value) if name in old else value
        for name, value in tensors.items()
    }


def _read_activations(plan: Plan, edited: ModelProto) -> Array:
    """Mean features of each forgotten class's samples, [len(forget), D]."""
    tuning = plan.tuning
    real, head = with_real_values(edited, plan.classifier.head)
    session = open_session(expose_tensors(real, head.features), "cpu")
    features = (
        session.run(
            head.features,
            tuning.forget,
            plan.classifier.image_input,
            plan.settings.options.batch_size,
        )
        .reshape(len(tuning.forget), head.feature_dim, -1)
        .mean(2)
    )
    with name_model(plan.classifier.model.path):
        check_finite(features, "its features of the samples to forget", _MEND_INPUTS)
    return np.stack(
        [features[tuning.forget_classes == index].mean(0) for index in plan.request.forget]
    )


def _measure(plan: Plan, edited: ModelProto, watch: Stopwatch) -> Measured:
    classifier, settings = plan.classifier, plan.settings
    edited_head = find_head(replace(classifier.model, proto=edited), output=classifier.head.output)
    original = Head(classifier.model.proto, classifier.head)
    restored = Head(edited, edited_head).restore(original)
    provider, kernels = settings.provider, settings.kernels
    models = [load_classifier(classifier, provider, kernels, model) for model in (edited, restored)]
    if plan.before_by_other_kernels:
        models.append(load_classifier(classifier, provider, name_other(kernels), edited))
    try:
        after, unmasked, *others = measure_models(
            models, plan.evaluation, plan.request, settings.options.batch_size, watch.report_samples
        )
    except NotFiniteError as error:
        message = f"the edited model gives no answers: {error.reason}"
        raise TrainingDivergedError(message, remedy=_DIVERGED) from error
    judged = {"before": plan.before, "after": after}
    other = plan.before_by_other_kernels
    found = {"before": other, "after": others[0]} if other else {}
    return Measured(
        after=after,
        other_kernels=compare_kernels(kernels, judged, found),
        unmasked=Unmasked(acc_f=unmasked.acc_f),
        changes=compare_models(classifier.model.proto, edited),
    )


def _make_checks(
    plan: Plan, masked: Masked, measured: Measured, size_bytes: int
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """The gates on accuracy, and what the edit promised of the file."""
    options, head = plan.settings.options, plan.classifier.head
    gates, notes = make_gates(
        acc_f=measured.after.acc_f,
        delta_acc_r=subtract(measured.after.acc_r, plan.before.acc_r),
        unmasked_acc_f=measured.unmasked.acc_f,
        limits=plan.settings.limits,
        expects_delta=True,
        expects_unmasked=options.trains,
    )
    own = (head.weight, head.bias or "") if options.masks else ()
    outside = list_outside(measured.changes, {*plan.names, *own, *masked.rescaled})
    totals = np.bincount(plan.evaluation.classes, minlength=head.num_classes).tolist()
    evidence, doubts = judge_evidence(plan.before, measured.after, totals, plan.request)
    promises = [
        ("tensors_changed_outside_scope", len(outside), 0),
        ("graph_changes", int(not measured.changes.is_graph_same), 0),
        ("growth_bytes", size_bytes - plan.classifier.model.size_bytes, _MAX_GROWTH_BYTES),
    ]
    checks = tuple(
        Check(name=name, value=value, limit=limit, better="lower")
        for name, value, limit in promises
    )
    return (*gates, *evidence, *checks), (*notes, *doubts)


def _make_report(
    plan: Plan,
    training: TrainingResult,
    masked: Masked,
    measured: Measured,
    conversion: Conversion,
    edited: FileSummary,
    watch: Stopwatch,
) -> UnlearnReport:
    settings, options = plan.settings, plan.settings.options
    checks, notes = _make_checks(plan, masked, measured, edited.size_bytes)
    resolved: dict[str, Any] = {
        **asdict(options),
        "lr": "auto" if options.lr is None else options.lr,
        "steps": "auto" if options.steps is None else options.steps,
        "anchors": settings.anchors,
        "parity_with_onnxruntime": training.parity,
        **training.details,
        "stop_reason": word(training.details["stop_reason"], settings.wording),
    }
    if options.masks and options.mask == "importance":
        resolved["importance_share"] = IMPORTANCE_SHARE
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
        method=resolved,
        provider=plan.session.provider,
        kernels=settings.kernels,
        device=training.device,
        before=plan.before,
        after=measured.after,
        unmasked=measured.unmasked,
        delta_acc_r=subtract(measured.after.acc_r, plan.before.acc_r),
        other_kernels=measured.other_kernels,
        changed_tensors=measured.changes.changed,
        added_tensors=measured.changes.added,
        trajectory=training.points,
        elapsed_s=watch.elapsed_s,
        notes=word_all(
            (
                *masked.notes,
                *plan.notes,
                *notes,
                *describe_kernels(measured.other_kernels),
                *conversion.notes,
            ),
            settings.wording,
        ),
        also=conversion.files,
        checks=(*checks, *conversion.checks),
    )
    return replace(report, provenance=make_statement(report, _digest_sources(plan)))


def _digest_sources(plan: Plan) -> dict[str, str | None]:
    """The samples that were read, by path, with a digest of each that is a single file."""
    samples = plan.samples
    named = (samples.source, samples.anchor_source, samples.eval_source)
    paths = [path for path in map(Path, dict.fromkeys(named)) if path.exists()]
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
        for path in paths
    }


def describe_plan(plan: Plan) -> dict[str, Any]:
    """What a dry run shows: all that was decided, and the model as given."""
    settings = plan.settings
    return {
        "schema": "nhle-onnx/plan/v1",
        "model": summarize_model(plan.classifier),
        "forget": plan.request.forget,
        "samples": plan.samples,
        "preprocess": plan.classifier.preprocess,
        "method": settings.options,
        "tensors": plan.names,
        "provider": plan.session.provider,
        "before": plan.before,
        "would_write": [str(path) for path in settings.outputs],
        "notes": word_all(
            (*plan.mask_notes, *plan.notes, *describe_before(plan.before, plan.request)),
            settings.wording,
        ),
    }
