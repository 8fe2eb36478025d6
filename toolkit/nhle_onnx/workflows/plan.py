"""unlearn, first half: everything that is decided before a weight changes. No torch."""

from dataclasses import dataclass

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.external import name_sidecars
from nhle_onnx.graph.head import list_other_heads
from nhle_onnx.graph.save import check_writable
from nhle_onnx.lowering.weights import check_operators, check_weights
from nhle_onnx.release.ort_format import convert_to_ort
from nhle_onnx.runtime.kernels import may_saturate
from nhle_onnx.runtime.session import Session
from nhle_onnx.unlearn.scope import select_tensors
from nhle_onnx.values.report import Accuracy, SampleSummary
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.verify.accuracy import predict_classes
from nhle_onnx.verify.finite import name_model
from nhle_onnx.workflows.doubts import describe_forget_samples
from nhle_onnx.workflows.masking import check_mask
from nhle_onnx.workflows.material import Material, gather_material
from nhle_onnx.workflows.measure import (
    Evaluation,
    describe_suspicion,
    load_subject,
    measure_models,
    name_other,
)
from nhle_onnx.workflows.observer import Stopwatch
from nhle_onnx.workflows.subject import Subject, make_request, open_subject
from nhle_onnx.workflows.unlearn_settings import UnlearnSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that was found and decided, and how good the model is as given."""

    settings: UnlearnSettings
    subject: Subject
    request: ForgetRequest
    names: tuple[str, ...]
    material: Material
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
        subject = open_subject(settings.model, settings.flags)
        request = make_request(subject, settings.forget)
        check_weights(subject.model, subject.head)
        options = settings.options
        names: tuple[str, ...] = ()
        if options.trains:
            check_operators(subject.model, subject.head.scores)
            names = select_tensors(subject.model, subject.head, options.scope)
        mask_notes = check_mask(subject.model.proto, subject.head, request, options)
        _check_outputs(settings, subject)
        if settings.ort_path:
            # what the model as given cannot become, the edited one cannot either
            convert_to_ort(subject.model.proto)
    other_heads = tuple(
        f"the output {name} has a head of its own, which was not masked"
        for name in list_other_heads(subject.model, subject.head)
    )
    with watch.stage("samples", "reading the samples"):
        material, evaluation, samples, notes = gather_material(settings, subject, request)
    with watch.stage("measure_before", "measuring the model as given"):
        given = load_subject(subject, settings.provider, settings.kernels)
        models = [given]
        if may_saturate(subject.model.proto):
            models.append(load_subject(subject, settings.provider, name_other(settings.kernels)))
        before, *others = measure_models(
            models, evaluation, request, options.batch_size, watch.report_samples
        )
        doubts = _describe_doubts(settings, subject, request, material, given.session)
    return Plan(
        settings=settings,
        subject=subject,
        request=request,
        names=names,
        material=material,
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
    subject: Subject,
    request: ForgetRequest,
    material: Material,
    session: Session,
) -> tuple[str, ...]:
    """What the model as given makes of the samples to forget. Raises NotFiniteError where that is
    no number.
    """
    if not len(material.forget):
        return ()
    with name_model(subject.model.path):
        scores = session.run(
            subject.head.output,
            material.forget,
            subject.image_input,
            settings.options.batch_size,
        )
        predictions = predict_classes(scores)
    return describe_forget_samples(material.forget, material.forget_classes, predictions, request)


def _check_outputs(settings: UnlearnSettings, subject: Subject) -> None:
    sidecars = name_sidecars(subject.model.places, settings.edited_path).values()
    outputs = (*settings.outputs, *sidecars)
    for path in outputs:
        if path.resolve() in subject.model.files:
            message = f"{path} is the model itself, which is never changed in place"
            options = " and ".join(["--out", *settings.named_outputs])
            raise InputRefusedError(message, remedy=f"Give {options} other paths.")
    resolved = [path.resolve() for path in outputs]
    for option, path in (settings.named_outputs | {"--out": settings.edited_path}).items():
        if resolved.count(path.resolve()) > 1:
            message = f"{path} is to hold another output as well"
            raise InputRefusedError(message, remedy=f"Give {option} another path.")
    for path in outputs:
        check_writable(path, force=settings.force)
