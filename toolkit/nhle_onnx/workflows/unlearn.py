"""unlearn, second half: train, write back, mask, verify, write."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto

from nhle_onnx.errors import NotFiniteError, TrainingDivergedError
from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.external import split_files
from nhle_onnx.graph.fixed_inputs import free_inputs
from nhle_onnx.graph.head.drop import drop_classes
from nhle_onnx.graph.head.feature_tensors import average_features
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.head.real_values import with_real_values
from nhle_onnx.graph.save import write_files
from nhle_onnx.graph.subgraph import expose_tensors
from nhle_onnx.graph.tensors import list_tensors, read_tensors, replace_tensors
from nhle_onnx.graph.unused import remove_unused, without_unused
from nhle_onnx.graph.update_rounding import round_update
from nhle_onnx.hints import hint
from nhle_onnx.runtime.memory import give_back_memory
from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.outcomes import Outcomes, Role
from nhle_onnx.values.report import UnlearnReport
from nhle_onnx.values.settings.shared import has_page
from nhle_onnx.verification.accuracy import compute_accuracy
from nhle_onnx.verification.changes import Changes, compare_models
from nhle_onnx.verification.finite import check_finite, name_model
from nhle_onnx.workflows.classifier import Classifier
from nhle_onnx.workflows.companions import list_companions
from nhle_onnx.workflows.conversion import convert_edited
from nhle_onnx.workflows.file_facts import summarize_contents
from nhle_onnx.workflows.masking import Masked, mask_head
from nhle_onnx.workflows.measure import LoadedModel, count_classes, load_classifier
from nhle_onnx.workflows.observer import Stopwatch
from nhle_onnx.workflows.other_kernels import name_other
from nhle_onnx.workflows.other_outputs import judge_other_outputs
from nhle_onnx.workflows.outcomes import collect_outcomes
from nhle_onnx.workflows.plan import Plan
from nhle_onnx.workflows.training_result import TrainingResult
from nhle_onnx.workflows.unlearn_report import Measured, make_report, render_report

_DIVERGED = hint("Give a smaller {lr}, fewer {steps}, {loss=saturating}, or another {mask}.")
_MEND_INPUTS = "Correct the samples, or the preprocessing that made them."

Array = npt.NDArray[np.float32]


def carry_out(plan: Plan, watch: Stopwatch) -> UnlearnReport:
    """Train, edit, verify, and write the edited model and its report.

    All files are written even where a gate fails; the report says which. Raises
    UnsupportedModelError, DeviceUnavailableError or TrainingDivergedError before anything is
    written.
    """
    training = _train(plan, watch)
    with watch.stage("edit", "writing the weights back and masking the head"):
        trained, removed = _write_back(plan, training)
        training = replace(training, tensors={})  # the graph has them now
        edited, masked = _mask(plan, trained)
        give_back_memory(plan.classifier.model.size_bytes)
    with watch.stage("verify", "verifying in ONNX Runtime"):
        measured = _measure(plan, trained, edited, watch)
    with watch.stage("convert", "converting") if plan.settings.also else nullcontext():
        conversion = convert_edited(plan, edited)
    model, path = plan.classifier.model, plan.settings.edited_path
    files = split_files(free_inputs(edited, model.constants), model.places, path)
    summary = summarize_contents(path, files)
    report = replace(
        make_report(plan, training, masked, measured, conversion, summary, watch), removed=removed
    )
    watch.observer.start_stage("saving")
    write_files(
        files | conversion.contents | list_companions(plan) | render_report(plan.settings, report),
        force=plan.settings.force,
        commit_marker=plan.settings.report_path,
    )
    return report


def rehearse(plan: Plan, watch: Stopwatch) -> None:
    """Lower the model and compare it with ONNX Runtime, as a run does before it trains.

    Raises the same errors; changes nothing.
    """
    if plan.settings.options.trains:
        with watch.stage("import_torch", "starting torch"):
            from nhle_onnx.workflows.training import lower_plan  # noqa: PLC0415 - as below
        with watch.stage("lower", "lowering the graph to torch"):
            lower_plan(plan)


def _train(plan: Plan, watch: Stopwatch) -> TrainingResult:
    if not plan.settings.options.trains:
        return TrainingResult()
    with watch.stage("import_torch", "starting torch"):
        # torch takes seconds to import: only here, once all that can be refused was refused
        from nhle_onnx.workflows.training import train_features  # noqa: PLC0415
    training = train_features(plan, watch)
    give_back_memory(plan.classifier.model.size_bytes)
    return training


def _write_back(plan: Plan, training: TrainingResult) -> tuple[ModelProto, tuple[str, ...]]:
    """Return a copy of the model with trained tensors, and the names of what no output needed,
    which was removed.
    """
    model = plan.classifier.model
    trained = copy_model(model.proto)
    removed = remove_unused(trained, model.constants)
    replace_tensors(trained, round_updates(trained, training.tensors))
    return trained, removed


def _mask(plan: Plan, trained: ModelProto) -> tuple[ModelProto, Masked]:
    """Mask the head of the trained model, or of a copy where classes are dropped: the whole head is
    measured as well. Return it, and how it was masked.
    """
    options = plan.settings.options
    if not options.masks:
        return trained, Masked()
    edited = copy_model(trained) if plan.dropped else trained
    activations = _read_activations(plan, edited) if options.mask == "importance" else None
    return edited, mask_head(edited, plan.classifier.head, plan.request, options, activations)


def round_updates(proto: ModelProto, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Round changes of float32 tensors to whole steps, which take few bits each in a patch."""
    kinds = {name: tensor.data_type for name, tensor in list_tensors(proto)}
    floats = tuple(name for name in tensors if kinds[name] == TensorProto.FLOAT)
    old = read_tensors(proto, floats)
    return {**tensors, **{name: round_update(old[name], tensors[name]) for name in floats}}


def _read_activations(plan: Plan, edited: ModelProto) -> Array:
    """Compute the mean features of each forgotten class's samples, [len(forget), D]."""
    tuning = plan.tuning
    real, head = with_real_values(edited, plan.classifier.head)
    session = open_session(expose_tensors(real, head.features), "cpu")
    features = average_features(
        session.run(
            head.features,
            tuning.forget,
            plan.classifier.image_input,
            plan.settings.options.batch_size,
        ),
        head,
    )
    with name_model(plan.classifier.model.path):
        check_finite(features, "its features of the samples to forget", _MEND_INPUTS)
    return np.stack(
        [features[tuning.forget_classes == index].mean(0) for index in plan.request.forget]
    )


def _measure(plan: Plan, trained: ModelProto, edited: ModelProto, watch: Stopwatch) -> Measured:
    classifier, settings = plan.classifier, plan.settings
    smaller = replace(classifier, dropped=plan.dropped)
    whole = trained if plan.dropped else edited
    provider, kernels = settings.provider, settings.kernels
    models = [
        load_classifier(smaller, provider, kernels, edited),
        load_classifier(classifier, provider, kernels, _restore(classifier, whole)),
    ]
    if plan.before_by_other_kernels:
        models.append(load_classifier(smaller, provider, name_other(kernels), edited))
    give_back_memory(classifier.model.size_bytes)  # what ONNX Runtime read the models from
    try:
        counts = count_classes(
            models,
            plan.evaluation,
            plan.request,
            settings.options.batch_size,
            watch.report_samples,
            () if plan.evaluation.is_tuning else plan.tuned,
        )
    except NotFiniteError as error:
        message = f"the edited model gives no answers: {error.reason}"
        raise TrainingDivergedError(message, remedy=_DIVERGED) from error
    outcomes = _collect(plan, models[0]) if has_page(settings.page) else None
    checks, notes = judge_other_outputs(smaller, edited, plan.evaluation, plan.judge)
    after, unmasked, *others = counts
    return Measured(
        after=after,
        unmasked=unmasked,
        by_other_kernels=compute_accuracy(others[0], plan.request) if others else None,
        changes=_compare(plan, edited),
        outcomes=outcomes,
        checks=checks,
        notes=notes,
    )


def _collect(plan: Plan, edited: LoadedModel) -> Outcomes:
    """Return what the page shows of single images."""
    settings = plan.settings
    original = load_classifier(plan.classifier, settings.provider, settings.kernels)
    left_out = frozenset() if plan.evaluation.is_tuning else plan.tuned
    models: dict[Role, LoadedModel] = {"original": original, "edited": edited}
    return collect_outcomes(models, plan.evaluation, plan.request, settings.shown, left_out)


def _restore(classifier: Classifier, edited: ModelProto) -> ModelProto:
    """Return the edited model with the original's head."""
    head = find_head(replace(classifier.model, proto=edited), output=classifier.head.output)
    original = Head(classifier.model.proto, classifier.head)
    return Head(edited, head).restore(original)


def _compare(plan: Plan, edited: ModelProto) -> Changes:
    """Compare with the original; without dropped classes, with the original without them."""
    model, head = plan.classifier.model, plan.classifier.head
    original = without_unused(model.proto, model.constants)
    if not plan.dropped:
        return compare_models(original, edited)
    smaller = copy_model(original)
    drop_classes(smaller, head, plan.dropped)
    changes = compare_models(smaller, edited)
    own = [name for part in head.all_parts for name in (part.weight, part.bias) if name]
    return replace(changes, changed=tuple(dict.fromkeys([*changes.changed, *own])))
