"""verify: what a model still knows of a class, as ONNX Runtime runs it. Never imports torch."""

from dataclasses import replace

from nhle_onnx.hints import word_all
from nhle_onnx.runtime.kernels import may_saturate
from nhle_onnx.values.report import Check, ProviderResult, Unmasked, VerifyReport
from nhle_onnx.values.settings.gates import Limits
from nhle_onnx.values.settings.verify import VerifySettings
from nhle_onnx.verification.accuracy import compute_accuracy
from nhle_onnx.verification.evidence import judge_evidence
from nhle_onnx.verification.gates import make_gates
from nhle_onnx.workflows.classifier import TOOL, summarize_file
from nhle_onnx.workflows.comparison import Baseline, name_extras, open_comparison
from nhle_onnx.workflows.counting import count_samples
from nhle_onnx.workflows.measure import (
    compare_kernels,
    describe_kernels,
    describe_suspicion,
    subtract,
)
from nhle_onnx.workflows.observer import Observer, Stopwatch


def verify_model(settings: VerifySettings, observer: Observer) -> VerifyReport:
    """Measure a model on each provider, and against its baseline where one is given.

    Samples are prepared once, for all of it; memory does not grow with how many there are.
    """
    watch = Stopwatch(observer)
    with watch.stage("load", "loading"):
        comparison = open_comparison(settings)
        settings = replace(
            settings, compares_kernels=may_saturate(comparison.classifier.model.proto)
        )
    classifier, request, baseline = comparison.classifier, comparison.request, comparison.baseline
    with watch.stage("measure", "measuring"):
        tally = count_samples(settings, comparison, watch.report_samples)
    accuracies = [compute_accuracy(counts, request) for counts in tally.counts]
    totals = tally.counts[0].total
    count = len(settings.providers)
    results = tuple(
        ProviderResult(provider=provider, accuracy=accuracy)
        for provider, accuracy in zip(tally.providers[:count], accuracies[:count], strict=True)
    )
    after = accuracies[0]
    extras = dict(zip(name_extras(settings, comparison), accuracies[count:], strict=True))
    before = extras.get("before")
    unmasked = Unmasked(acc_f=extras["unmasked"].acc_f) if "unmasked" in extras else None
    judged = {"after": after, "before": before} if before else {"after": after}
    other = compare_kernels(
        settings.kernels,
        judged,
        {name: extras[f"other {name}"] for name in judged if f"other {name}" in extras},
    )
    delta = subtract(after.acc_r, before.acc_r) if before else None
    checks, notes = make_gates(
        acc_f=after.acc_f,
        delta_acc_r=delta,
        unmasked_acc_f=unmasked.acc_f if unmasked else None,
        limits=settings.limits,
        expects_delta=baseline is not None,
        expects_unmasked=unmasked is not None,
    )
    evidence, doubts = judge_evidence(before, after, totals, request)
    suspicion = describe_suspicion(before) if before else ()
    changes = baseline.changes if baseline else None
    return VerifyReport(
        tool=TOOL,
        model=summarize_file(classifier.model),
        baseline=summarize_file(baseline.classifier.model) if baseline else None,
        labels=classifier.labels,
        forget=request.forget,
        samples=sum(totals),
        preprocess=classifier.preprocess,
        providers=results,
        kernels=settings.kernels,
        before=before,
        after=after,
        unmasked=unmasked,
        delta_acc_r=delta,
        other_kernels=other,
        changed_tensors=(*changes.changed, *changes.added) if changes else None,
        elapsed_s=watch.elapsed_s,
        notes=word_all(
            (
                *notes,
                *suspicion,
                *doubts,
                *describe_kernels(other),
                *(_describe(baseline) if baseline else ()),
            ),
            settings.wording,
        ),
        checks=(*checks, *evidence, *_check_other_providers(results[1:], settings.limits)),
    )


def _describe(baseline: Baseline) -> tuple[str, ...]:
    notes = []
    if baseline.restored is None:
        notes.append("not unmasked: the baseline's head has another shape")
    if not baseline.changes.is_graph_same:
        notes.append("the graph itself differs from the baseline's, not only its weights")
    return tuple(notes)


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
