"""verify: what a model still knows of a class, as ONNX Runtime runs it. Never imports torch."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nhle_onnx.data.source import Array
from nhle_onnx.engines.choose import is_ray
from nhle_onnx.errors import UsageError
from nhle_onnx.hints import hint, word_all
from nhle_onnx.runtime.kernels import may_saturate
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.detection import DetectionVerifyReport
from nhle_onnx.values.outcomes import Outcomes, Role
from nhle_onnx.values.report import (
    Accuracy,
    OtherKernels,
    ProviderResult,
    Unmasked,
    VerifyReport,
)
from nhle_onnx.values.settings.gates import Limits
from nhle_onnx.values.settings.shared import has_page
from nhle_onnx.values.settings.verify import VerifySettings
from nhle_onnx.values.verdict import Check
from nhle_onnx.verification.accuracy import compute_accuracy, subtract
from nhle_onnx.verification.gates.judge import Judge, word_checks
from nhle_onnx.verification.gates.terms import Counted
from nhle_onnx.workflows.classifier import TOOL, Classifier, summarize_file
from nhle_onnx.workflows.comparison import Baseline, Comparison, name_extras, open_comparison
from nhle_onnx.workflows.counting import count_samples
from nhle_onnx.workflows.detection.subject import DetectorFoundError
from nhle_onnx.workflows.detection.verify import verify_detector
from nhle_onnx.workflows.evaluation import read_evaluation
from nhle_onnx.workflows.measure import describe_suspicion, load_classifier
from nhle_onnx.workflows.observer import Observer, Stopwatch
from nhle_onnx.workflows.other_kernels import compare_kernels, describe_kernels
from nhle_onnx.workflows.other_outputs import judge_other_outputs
from nhle_onnx.workflows.outcomes import collect_outcomes
from nhle_onnx.workflows.stability import TRIED, steady
from nhle_onnx.workflows.tally import Tally


def verify_model(
    settings: VerifySettings, observer: Observer
) -> VerifyReport | DetectionVerifyReport:
    """Measure a model on each provider, and against its baseline if one is given.

    Samples are prepared only once; memory does not grow with their number.
    """
    watch = Stopwatch(observer)
    try:
        with watch.stage("load", "loading"):
            opened = _open(settings)
    except DetectorFoundError as found:
        return verify_detector(settings, found.subject, watch)
    return _verify_classifier(*opened, watch)


def _verify_classifier(
    settings: VerifySettings, comparison: Comparison, steadiness: tuple[str, ...], watch: Stopwatch
) -> VerifyReport:
    with watch.stage("measure", "measuring"):
        tally = count_samples(settings, comparison, watch.report_samples)
        others, silent = _judge_other_outputs(settings, comparison)
        outcomes = _collect(settings, comparison) if has_page(settings.page) else None
    found = _sort(tally, settings, comparison)
    other_kernels = _compare_kernels(settings, found)
    before, after = found.accuracies.get("before"), found.accuracies["after"]
    unmasked = found.accuracies.get("unmasked")
    classifier, baseline = comparison.classifier, comparison.baseline
    changes = baseline.changes if baseline else None
    checks, notes = _judge(settings, comparison, found)
    notes = (
        *notes,
        *steadiness,
        *silent,
        *(describe_suspicion(before) if before else ()),
        *describe_kernels(other_kernels),
        *(_describe(baseline) if baseline else ()),
    )
    checks = (*checks, *others, *_check_other_providers(found.providers[1:], settings.limits))
    return VerifyReport(
        tool=TOOL,
        model=summarize_file(classifier.model),
        baseline=summarize_file(baseline.classifier.model) if baseline else None,
        labels=classifier.labels,
        forget=comparison.request.forget,
        samples=sum(found.counts["after"].total),
        preprocess=classifier.preprocess,
        providers=found.providers,
        kernels=settings.kernels,
        before=before,
        after=after,
        unmasked=Unmasked(acc_f=unmasked.acc_f) if unmasked else None,
        delta_acc_r=subtract(after.acc_r, before.acc_r) if before else None,
        other_kernels=other_kernels,
        changed_tensors=(*changes.changed, *changes.added) if changes else None,
        elapsed_s=watch.elapsed_s,
        notes=word_all(notes, settings.wording),
        outcomes=outcomes,
        checks=word_checks(checks, settings.wording),
    )


def _collect(settings: VerifySettings, comparison: Comparison) -> Outcomes | None:
    """Return what a page shows of single images; None where they are on another machine."""
    if is_ray(settings.engine):
        return None
    provider, kernels = settings.providers[0], settings.kernels
    classifiers: dict[Role, Classifier] = {"edited": comparison.classifier}
    if comparison.baseline:
        classifiers = {"original": comparison.baseline.classifier, **classifiers}
    models = {
        role: load_classifier(classifier, provider, kernels)
        for role, classifier in classifiers.items()
    }
    evaluation = read_evaluation(settings.data, comparison.classifier)
    return collect_outcomes(models, evaluation, comparison.request, settings.shown)


class _Found(NamedTuple):
    """Counts of each model, by its name in the report, and results of each provider."""

    providers: tuple[ProviderResult, ...]
    counts: dict[str, ClassCounts]
    accuracies: dict[str, Accuracy]


def _open(settings: VerifySettings) -> tuple[VerifySettings, Comparison, tuple[str, ...]]:
    """Open the models, and find how they must be run to be judged."""
    if settings.runtime != "onnxruntime" and settings.providers not in {("auto",), ("cpu",)}:
        message = "only ONNX Runtime has providers to choose from"
        raise UsageError(message, remedy=hint("Leave out {provider}, or {runtime}."))
    comparison = open_comparison(settings)
    models = [comparison.classifier]
    if comparison.baseline:
        models.append(comparison.baseline.classifier)
    images, left_out = _read_few(settings, comparison.classifier)
    notes = dict.fromkeys(note for model in models for note in steady(model, images)[1])
    settings = replace(
        settings,
        compares_kernels=settings.runtime == "onnxruntime"
        and may_saturate(comparison.classifier.model.proto),
        one_by_one=bool(notes),
    )
    comparison = open_comparison(settings) if notes else comparison
    return settings, comparison, (*notes, *left_out)


def _read_few(settings: VerifySettings, classifier: Classifier) -> tuple[Array, tuple[str, ...]]:
    """Read a few images, but none that Ray will read; and notes on what was left out."""
    if is_ray(settings.engine):
        return np.empty((0, *classifier.image_input.sample_shape), np.float32), ()
    evaluation = read_evaluation(settings.data, classifier)
    return evaluation.read(range(min(TRIED, len(evaluation.indices)))), evaluation.samples.notes


def _judge_other_outputs(
    settings: VerifySettings, comparison: Comparison
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    classifier = comparison.classifier
    if is_ray(settings.engine) or len(classifier.model.proto.graph.output) == 1:
        return (), ()
    evaluation = read_evaluation(settings.data, classifier)
    judge = _make_judge(settings, comparison)
    return judge_other_outputs(classifier, classifier.model.proto, evaluation, judge)


def _judge(
    settings: VerifySettings, comparison: Comparison, found: _Found
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """Judge the model's answers by the gates that all commands share."""
    return _make_judge(settings, comparison).judge(
        Counted(
            before=found.counts.get("before"),
            after=found.counts["after"],
            unmasked=found.counts.get("unmasked"),
            misfit=comparison.baseline.misfit if comparison.baseline else "",
        )
    )


def _make_judge(settings: VerifySettings, comparison: Comparison) -> Judge:
    return Judge(
        request=comparison.request,
        limits=settings.limits,
        labels=comparison.classifier.labels,
    )


def _sort(tally: Tally, settings: VerifySettings, comparison: Comparison) -> _Found:
    count = len(settings.providers)
    names = ("after", *name_extras(settings, comparison))
    counts = dict(zip(names, (tally.counts[0], *tally.counts[count:]), strict=True))
    measured = [compute_accuracy(each, comparison.request) for each in tally.counts[:count]]
    return _Found(
        providers=tuple(
            ProviderResult(provider=provider, accuracy=accuracy)
            for provider, accuracy in zip(tally.providers[:count], measured, strict=True)
        ),
        counts=counts,
        accuracies={
            name: compute_accuracy(each, comparison.request) for name, each in counts.items()
        },
    )


def _compare_kernels(settings: VerifySettings, found: _Found) -> OtherKernels | None:
    judged: dict[str, Accuracy] = {
        name: found.accuracies[name] for name in ("after", "before") if name in found.counts
    }
    others = {
        name: found.accuracies[f"other {name}"]
        for name in judged
        if f"other {name}" in found.counts
    }
    return compare_kernels(settings.kernels, judged, others)


def _describe(baseline: Baseline) -> tuple[str, ...]:
    if baseline.changes.is_graph_same:
        return ()
    return ("the graph itself differs from the baseline's, not only its weights",)


def _check_other_providers(
    results: tuple[ProviderResult, ...], limits: Limits
) -> tuple[Check, ...]:
    return tuple(
        Check(
            name=f"after.acc_f on {result.provider}",
            value=result.accuracy.acc_f,
            limit=limits.max_acc_f,
            better="lower",
        )
        for result in results
        if result.accuracy.acc_f is not None
    )
