"""unlearn, first half: everything that is decided before a weight changes. No torch."""

from dataclasses import dataclass

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.external import name_sidecars
from nhle_onnx.graph.head.find import list_other_heads
from nhle_onnx.graph.save import check_writable
from nhle_onnx.hints import hint
from nhle_onnx.lowering.weights import check_operators, check_weights
from nhle_onnx.release.ort_format import convert_to_ort
from nhle_onnx.runtime.kernels import may_saturate
from nhle_onnx.runtime.session import Session
from nhle_onnx.unlearning.scope import select_tensors
from nhle_onnx.values.report import Accuracy, SampleSummary
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.unlearn import UnlearnSettings
from nhle_onnx.verification.accuracy import predict_classes
from nhle_onnx.verification.finite import name_model
from nhle_onnx.workflows.classifier import Classifier, make_request, open_classifier
from nhle_onnx.workflows.masking import check_mask
from nhle_onnx.workflows.measure import (
    Evaluation,
    describe_suspicion,
    load_classifier,
    measure_models,
    name_other,
)
from nhle_onnx.workflows.observer import Stopwatch
from nhle_onnx.workflows.sample_warnings import describe_forget_samples
from nhle_onnx.workflows.tuning_data import TuningData, gather_tuning_data


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that was found and decided, and how good the model is as given."""

    settings: UnlearnSettings
    classifier: Classifier
    request: ForgetRequest
    names: tuple[str, ...]
    tuning: TuningData
    evaluation: Evaluation
    samples: SampleSummary
    session: Session
    before: Accuracy
    before_by_other_kernels: Accuracy | None = None
    mask_notes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def plan_unlearning(settings: UnlearnSettings, watch: Stopwatch) -> Plan:
    """Load and check everything, and measure the model as given. Writes nothing."""
    with watch.stage("load", "loading the model"):
        classifier = open_classifier(settings.model, settings.flags)
        request = make_request(classifier, settings.forget)
        check_weights(classifier.model, classifier.head)
        options = settings.options
        names: tuple[str, ...] = ()
        if options.trains:
            check_operators(classifier.model, classifier.head.scores)
            names = select_tensors(classifier.model, classifier.head, options.scope)
        mask_notes = check_mask(classifier.model.proto, classifier.head, request, options)
        _check_outputs(settings, classifier)
        if settings.ort_path:
            # what the model as given cannot become, the edited one cannot either
            convert_to_ort(classifier.model.proto)
    other_heads = tuple(
        f"the output {name} has a head of its own, which was not masked"
        for name in list_other_heads(classifier.model, classifier.head)
    )
    with watch.stage("samples", "reading the samples"):
        tuning, evaluation, samples, notes = gather_tuning_data(settings, classifier, request)
    with watch.stage("measure_before", "measuring the model as given"):
        given = load_classifier(classifier, settings.provider, settings.kernels)
        models = [given]
        if may_saturate(classifier.model.proto):
            models.append(
                load_classifier(classifier, settings.provider, name_other(settings.kernels))
            )
        before, *others = measure_models(
            models, evaluation, request, options.batch_size, watch.report_samples
        )
        doubts = _describe_doubts(settings, classifier, request, tuning, given.session)
    return Plan(
        settings=settings,
        classifier=classifier,
        request=request,
        names=names,
        tuning=tuning,
        evaluation=evaluation,
        samples=samples,
        session=given.session,
        before=before,
        before_by_other_kernels=others[0] if others else None,
        mask_notes=mask_notes,
        notes=(
            *other_heads,
            *notes,
            *describe_suspicion(before),
            *doubts,
        ),
    )


def _describe_doubts(
    settings: UnlearnSettings,
    classifier: Classifier,
    request: ForgetRequest,
    tuning: TuningData,
    session: Session,
) -> tuple[str, ...]:
    """What the model as given makes of the samples to forget. Raises NotFiniteError where that is
    no number.
    """
    if not len(tuning.forget):
        return ()
    with name_model(classifier.model.path):
        scores = session.run(
            classifier.head.output,
            tuning.forget,
            classifier.image_input,
            settings.options.batch_size,
        )
        predictions = predict_classes(scores)
    return describe_forget_samples(tuning.forget, tuning.forget_classes, predictions, request)


def _check_outputs(settings: UnlearnSettings, classifier: Classifier) -> None:
    sidecars = name_sidecars(classifier.model.places, settings.edited_path).values()
    outputs = (*settings.outputs, *sidecars)
    for path in outputs:
        if path.resolve() in classifier.model.files:
            message = f"{path} is the model itself, which is never changed in place"
            options = " and ".join(f"{{{name}}}" for name in ("out", *settings.named_outputs))
            raise InputRefusedError(message, remedy=hint(f"Give {options} other paths."))
    resolved = [path.resolve() for path in outputs]
    for name, path in (settings.named_outputs | {"out": settings.edited_path}).items():
        if resolved.count(path.resolve()) > 1:
            message = f"{path} is to hold another output as well"
            raise InputRefusedError(message, remedy=hint(f"Give {{{name}}} another path."))
    for path in outputs:
        check_writable(path, force=settings.force)
