"""unlearn, first half: everything that is decided before a weight changes. No torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from nhle_onnx.data.samples import open_samples, read_unlabelled
from nhle_onnx.data.source import SampleSource
from nhle_onnx.data.splits import Split, find_samples, split_samples
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.external import name_sidecars
from nhle_onnx.graph.head import list_other_heads
from nhle_onnx.graph.save import check_writable
from nhle_onnx.lowering.weights import check_operators, check_weights
from nhle_onnx.release.ort_format import convert_to_ort
from nhle_onnx.runtime import Provider, Session
from nhle_onnx.unlearn.scope import select_tensors
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.report import Accuracy, Limits, SampleSummary
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.verify.accuracy import predict_classes
from nhle_onnx.verify.finite import check_finite, name_model
from nhle_onnx.workflows.doubts import (
    describe_contradiction,
    describe_forget_samples,
    describe_overlap,
    is_among,
)
from nhle_onnx.workflows.evaluation import (
    choose_evaluation,
    make_empty_evaluation,
    read_evaluation,
)
from nhle_onnx.workflows.masking import check_mask
from nhle_onnx.workflows.measure import (
    Evaluation,
    describe_suspicion,
    load_subject,
    measure_models,
)
from nhle_onnx.workflows.observer import Stopwatch
from nhle_onnx.workflows.subject import ModelFlags, Subject, make_request, open_subject

Device = Literal["auto", "cpu", "cuda"]
Array = npt.NDArray[np.float32]

_NO_ANCHORS = (
    "no samples of retained classes were given, so anchors were made from the forget samples; "
    "a few dozen unlabelled images as --anchors hold the retained accuracy more surely"
)
_CWM_ALONE = (
    "only the head was masked (--method cwm): the features still hold the class, and putting the "
    "head row back brings it back"
)
_COMPARED = 256  # evaluation samples: reading them all again would take as long as judging
_MEND_INPUTS = "Mend the sample, or the preprocessing that made it."


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlearnSettings:
    """What the user asked of `unlearn`. `anchors` is auto, off, or a folder; `page` is where the
    report goes as HTML, `bom` where the bill of materials goes, `also` the formats to add.
    """

    model: Path
    forget: tuple[str, ...]
    flags: ModelFlags = ModelFlags()
    samples: Path | None = None
    eval_data: Path | None = None
    anchors: str = "auto"
    options: UnlearnOptions = UnlearnOptions()
    limits: Limits = Limits()
    provider: Provider = "auto"
    device: Device = "auto"
    out: Path | None = None
    page: Path | None = None
    bom: Path | None = None
    also: tuple[Literal["ort"], ...] = ()
    force: bool = False
    command: str = ""

    @property
    def edited_path(self) -> Path:
        """Where the edited model goes."""
        return self.out or self.model.with_name(f"{self.model.stem}.unlearned.onnx")

    @property
    def report_path(self) -> Path:
        """Where the report goes: beside the edited model."""
        return self.edited_path.with_suffix(".report.json")

    @property
    def ort_path(self) -> Path | None:
        """Where the edited model goes in the .ort format, if it does: beside the .onnx file."""
        return self.edited_path.with_suffix(".ort") if "ort" in self.also else None

    @property
    def named_outputs(self) -> dict[str, Path]:
        """Outputs that have an option of their own, by that option."""
        named = {"--report": self.page, "--bom": self.bom}
        return {option: path for option, path in named.items() if path}

    @property
    def outputs(self) -> tuple[Path, ...]:
        """All that is written, but for files beside the edited model that hold its weights."""
        beside = (self.edited_path, self.report_path, self.ort_path)
        return (*(path for path in beside if path), *self.named_outputs.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Decoded tuning samples: `forget` [N, ...] of `forget_classes` [N], `anchors` [M, ...]."""

    forget: Array
    forget_classes: npt.NDArray[np.int64]
    anchors: Array
    synthesizes: bool


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
        material, evaluation, samples, notes = _gather(settings, subject, request)
    with watch.stage("measure_before", "measuring the model as given"):
        given = load_subject(subject, settings.provider)
        (before,) = measure_models(
            [given], evaluation, request, options.batch_size, watch.report_samples
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


def _gather(
    settings: UnlearnSettings, subject: Subject, request: ForgetRequest
) -> tuple[Material, Evaluation, SampleSummary, tuple[str, ...]]:
    options = settings.options
    cwm_note = () if options.trains else (_CWM_ALONE,)
    source = _open_source(settings, subject)
    if source is None:
        return (*_gather_nothing(settings, subject, request), cwm_note)
    split = split_samples(source.classes, request, options.samples_per_class)
    _require_forget_samples(source, request, needs=options.trains or options.mask == "importance")
    evaluation, notes = choose_evaluation(settings.eval_data, source, split, subject, request)
    forget = source.read(split.forget)
    anchors, anchor_source = _read_anchors(settings, subject, request, source, split)
    for samples in (forget, anchors):
        check_finite(samples, str(source.path), _MEND_INPUTS)
    is_copy = is_among(anchors, forget)
    anchors = anchors[~is_copy]
    notes = (
        *notes,
        *describe_contradiction(int(is_copy.sum())),
        *_describe_overlap(forget, evaluation, request),
    )
    synthesizes = options.trains and settings.anchors == "auto" and not len(anchors)
    if synthesizes:
        anchor_source, notes = "made from the forget samples", (*notes, _NO_ANCHORS)
    material = Material(
        forget=forget,
        forget_classes=source.classes[list(split.forget)],
        anchors=anchors,
        synthesizes=synthesizes,
    )
    summary = SampleSummary(
        forget=len(material.forget),
        anchors=len(anchors),
        eval=len(evaluation.classes),
        source=str(source.path),
        anchor_source=anchor_source,
        eval_source=evaluation.source,
    )
    return material, evaluation, summary, (*cwm_note, *notes)


def _describe_overlap(
    forget: Array, evaluation: Evaluation, request: ForgetRequest
) -> tuple[str, ...]:
    of_forgotten = np.flatnonzero(np.isin(evaluation.classes, request.forget))[:_COMPARED]
    return describe_overlap(forget, evaluation.read(of_forgotten.tolist()))


def _open_source(settings: UnlearnSettings, subject: Subject) -> SampleSource | None:
    """The samples given or found; None only where masking the head needs none."""
    path = settings.samples
    if path is None:
        try:
            path = find_samples(subject.model)
        except InputRefusedError:
            if settings.options.trains or settings.options.mask == "importance":
                raise
            return None
    return open_samples(path, subject.image_input, subject.preprocess, subject.labels)


def _require_forget_samples(source: SampleSource, request: ForgetRequest, *, needs: bool) -> None:
    missing = [index for index in request.forget if index not in source.classes]
    if needs and missing:
        message = f"{source.path} holds no sample of class {missing[0]}, which is to be forgotten"
        raise InputRefusedError(
            message,
            remedy="Add a few images of it (16 do), or use --method cwm, which masks the head "
            "alone and does not erase features.",
        )


def _read_anchors(
    settings: UnlearnSettings,
    subject: Subject,
    request: ForgetRequest,
    source: SampleSource,
    split: Split,
) -> tuple[Array, str]:
    if not settings.options.trains or settings.anchors == "off":
        return source.read(()), "off"
    if settings.anchors == "auto":
        return source.read(split.anchors), str(source.path)
    path = Path(settings.anchors)
    anchors = read_unlabelled(
        path, subject.image_input, subject.preprocess, subject.labels, request.forget
    )
    return anchors, str(path)


def _gather_nothing(
    settings: UnlearnSettings, subject: Subject, request: ForgetRequest
) -> tuple[Material, Evaluation, SampleSummary]:
    """No tuning samples; evaluation samples only where they were given."""
    nothing = make_empty_evaluation(subject)
    evaluation = (
        read_evaluation(settings.eval_data, subject, request) if settings.eval_data else nothing
    )
    material = Material(
        forget=nothing.read(),
        forget_classes=nothing.classes,
        anchors=nothing.read(),
        synthesizes=False,
    )
    summary = SampleSummary(
        forget=0,
        anchors=0,
        eval=len(evaluation.classes),
        source="none",
        anchor_source="none",
        eval_source=evaluation.source,
    )
    return material, evaluation, summary
