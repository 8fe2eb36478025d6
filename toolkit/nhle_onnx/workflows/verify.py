"""verify: what a model still knows of a class, as ONNX Runtime runs it. Never imports torch."""

from dataclasses import dataclass
from pathlib import Path

from nhle_onnx.runtime import Provider, open_session
from nhle_onnx.values.report import (
    Accuracy,
    Check,
    Limits,
    ProviderResult,
    Unmasked,
    VerifyReport,
)
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.verify.changes import compare_models
from nhle_onnx.verify.gates import make_gates
from nhle_onnx.verify.unmask import restore_head
from nhle_onnx.workflows.evaluation import read_evaluation
from nhle_onnx.workflows.measure import (
    Evaluation,
    describe_suspicion,
    measure_model,
    measure_session,
    subtract,
)
from nhle_onnx.workflows.observer import Observer, Stopwatch
from nhle_onnx.workflows.subject import (
    TOOL,
    ModelFlags,
    Subject,
    make_request,
    open_subject,
    summarize_file,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifySettings:
    """What the user asked of `verify`."""

    model: Path
    forget: tuple[str, ...]
    data: Path
    flags: ModelFlags
    baseline: Path | None = None
    providers: tuple[Provider, ...] = ("auto",)
    limits: Limits = Limits()
    batch_size: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparison:
    """What a baseline adds."""

    before: Accuracy
    unmasked: Unmasked | None
    changed: tuple[str, ...]
    notes: tuple[str, ...]


def verify_model(settings: VerifySettings, observer: Observer) -> VerifyReport:
    """Measure a model on each provider, and against its baseline where one is given."""
    watch = Stopwatch(observer)
    with watch.stage("load", "loading"):
        subject = open_subject(settings.model, settings.flags)
        request = make_request(subject, settings.forget)
        baseline = open_subject(settings.baseline, settings.flags) if settings.baseline else None
        evaluation = read_evaluation(settings.data, subject, request)
    with watch.stage("measure", "measuring"):
        results = tuple(
            _measure(subject, provider, evaluation, request, settings.batch_size)
            for provider in settings.providers
        )
    after = results[0].accuracy
    comparison = None
    if baseline:
        with watch.stage("compare", "comparing with the baseline"):
            comparison = _compare(subject, baseline, evaluation, request, settings)
    unmasked = comparison.unmasked if comparison else None
    delta = subtract(after.acc_r, comparison.before.acc_r) if comparison else None
    checks, notes = make_gates(
        acc_f=after.acc_f,
        delta_acc_r=delta,
        unmasked_acc_f=unmasked.acc_f if unmasked else None,
        limits=settings.limits,
        expects_delta=baseline is not None,
        expects_unmasked=unmasked is not None,
    )
    return VerifyReport(
        tool=TOOL,
        model=summarize_file(subject.model),
        baseline=summarize_file(baseline.model) if baseline else None,
        labels=subject.labels,
        forget=request.forget,
        samples=len(evaluation.classes),
        preprocess=subject.preprocess,
        providers=results,
        before=comparison.before if comparison else None,
        after=after,
        unmasked=unmasked,
        delta_acc_r=delta,
        changed_tensors=comparison.changed if comparison else None,
        elapsed_s=watch.elapsed_s,
        notes=(*notes, *(comparison.notes if comparison else ())),
        checks=(*checks, *_check_other_providers(results[1:], settings.limits)),
    )


def _measure(
    subject: Subject,
    provider: Provider,
    evaluation: Evaluation,
    request: ForgetRequest,
    batch_size: int,
) -> ProviderResult:
    session = open_session(subject.model.proto, provider)
    accuracy = measure_session(
        session, subject.head.output, evaluation, subject.image_input, request, batch_size
    )
    return ProviderResult(provider=session.provider, accuracy=accuracy)


def _compare(
    subject: Subject,
    baseline: Subject,
    evaluation: Evaluation,
    request: ForgetRequest,
    settings: VerifySettings,
) -> _Comparison:
    provider, batch_size = settings.providers[0], settings.batch_size
    before = _measure(baseline, provider, evaluation, request, batch_size).accuracy
    notes = describe_suspicion(before)
    unmasked = None
    shape = (subject.head.num_classes, subject.head.feature_dim, subject.head.class_axis)
    if shape == (
        baseline.head.num_classes,
        baseline.head.feature_dim,
        baseline.head.class_axis,
    ):
        restored = restore_head(
            subject.model.proto, subject.head, baseline.model.proto, baseline.head
        )
        accuracy = measure_model(
            restored,
            subject.head,
            evaluation,
            subject.image_input,
            request,
            provider=provider,
            batch_size=batch_size,
        )
        unmasked = Unmasked(acc_f=accuracy.acc_f)
    else:
        notes += ("not unmasked: the baseline's head has another shape",)
    changes = compare_models(baseline.model.proto, subject.model.proto)
    if not changes.is_graph_same:
        notes += ("the graph itself differs from the baseline's, not only its weights",)
    return _Comparison(
        before=before,
        unmasked=unmasked,
        changed=(*changes.changed, *changes.added),
        notes=notes,
    )


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
