"""audit on a detector, what it is given: models that fit each other, and scenes with boxes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from onnx import ModelProto

from nhle_onnx.auditing.context import Array, CannotRunError, split_halves
from nhle_onnx.auditing.detection.context import (
    NO_CLASS,
    DetectorContext,
    DetectorTarget,
    Locations,
)
from nhle_onnx.auditing.detection.evidence import collect_evidence
from nhle_onnx.auditing.detection.locations import draw_locations, join_locations
from nhle_onnx.data.boxes.scenes import SceneSource
from nhle_onnx.data.labels import parse_request
from nhle_onnx.detection.reading import Answers
from nhle_onnx.errors import InputRefusedError, NotFiniteError, UnsupportedModelError
from nhle_onnx.hints import hint
from nhle_onnx.values.boxes import Boxes
from nhle_onnx.values.detection import Precision
from nhle_onnx.values.outcomes import Role
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.audit import AuditSettings
from nhle_onnx.workflows.audit_inputs import refuse_page
from nhle_onnx.workflows.detection import measure
from nhle_onnx.workflows.detection.fitting import (
    open_other,
    open_truth,
    require_comparable,
    require_same,
)
from nhle_onnx.workflows.detection.subject import Subject
from nhle_onnx.workflows.observer import Stopwatch

if TYPE_CHECKING:  # torch takes seconds to import
    from nhle_onnx.lowering.module import LoweredModel


class Detectors(NamedTuple):
    """The settings, the detectors, and scenes with their boxes."""

    settings: AuditSettings
    subjects: dict[Role, Subject]
    request: ForgetRequest
    scenes: SceneSource
    truth: tuple[Boxes, ...]

    def detect(
        self, role: Role, proto: ModelProto | None, places: Sequence[int], watch: Stopwatch | None
    ) -> list[Answers]:
        """Run a detector, or a changed form of it, on some scenes."""
        subject, settings = self.subjects[role], self.settings
        reader = measure.open_reader(subject, settings.provider, settings.kernels, proto)
        on_batch = watch.report_samples if watch else lambda _done, _total: None
        return measure.detect([reader], self.scenes.choose(places), on_batch)[0]

    def measure(self, role: Role, proto: ModelProto, places: Sequence[int]) -> Precision:
        """Measure a changed form of a detector on some scenes."""
        answers = self.detect(role, proto, places, None)
        return measure.judge(self.subjects[role], answers, self.choose(places), self.request)

    def look(self, places: Sequence[int]) -> Answers:
        """Return what the original says of some scenes."""
        return Answers(
            *map(np.concatenate, zip(*self.detect("original", None, places, None), strict=True))
        )

    def rate(self, answers: Answers, places: Sequence[int]) -> float | None:
        """Return the AP of the forgotten classes for what was said of some scenes."""
        return measure.rate([answers], self.choose(places), self.request)

    def choose(self, places: Sequence[int]) -> list[Boxes]:
        """Return the boxes of some scenes."""
        return [self.truth[place] for place in places]

    def lower(self, role: Role, proto: ModelProto, images: Array) -> "LoweredModel":
        """Make a changed form of a detector trainable. Raises UnsupportedModelError."""
        from nhle_onnx.workflows.detection.training import lower_detector  # noqa: PLC0415 - torch

        subject = self.subjects[role]
        changed = replace(subject, model=replace(subject.model, proto=proto))
        return lower_detector(changed, images)[0]


def load_detectors(settings: AuditSettings) -> Detectors:
    """Open detectors and scenes. Raises InputRefusedError where they do not fit each other."""
    _refuse_options(settings)
    edited = open_other(settings.model, settings.flags, settings.baseline)
    original = open_other(settings.baseline, settings.flags, settings.model)
    require_same(edited, original)
    subjects: dict[Role, Subject] = {"original": original, "edited": edited}
    if settings.reference:
        reference = open_other(settings.reference, settings.flags, settings.model)
        require_comparable(reference, original)
        subjects["reference"] = reference
    for subject in subjects.values():
        refuse_page(settings, subject.model)
    request = parse_request(settings.forget, original.labels)
    scenes = open_truth(settings.data, original)
    truth = tuple(boxes for boxes in scenes.boxes if boxes is not None)
    return Detectors(settings, subjects, request, scenes, truth)


def _refuse_options(settings: AuditSettings) -> None:
    """Raise UnsupportedModelError for options that detectors do not have yet."""
    given = {
        "members": settings.members is not None,
        "patch": settings.patch is not None,
        "shadows": bool(settings.shadows),
        "effort=thorough": settings.effort == "thorough",
    }
    for option, is_given in given.items():
        if is_given:
            message = hint(f"an audit of a detector does not take {{{option}}} yet")
            raise UnsupportedModelError(message, remedy="Leave this option out.")


def set_up(loaded: Detectors, watch: Stopwatch) -> tuple[DetectorContext, dict[Role, Precision]]:
    """Read what each model detects and has at its locations; share the scenes out."""
    everything = range(len(loaded.truth))
    precisions, firsts = {}, {}
    locations: tuple[Locations, ...] = ()
    for role, subject in loaded.subjects.items():
        answers = loaded.detect(role, None, everything, watch)
        _require_finite(subject, answers)
        precisions[role] = measure.judge(subject, answers, loaded.truth, loaded.request)
        firsts[role] = answers[0]
        locations = locations or _draw(loaded, answers)  # the original comes first
    _require_independent(loaded.subjects, firsts)
    shown = np.array([_name_shown(boxes, loaded.request) for boxes in loaded.truth])
    seed = loaded.settings.seed
    context = DetectorContext(
        request=loaded.request,
        scenes=loaded.scenes,
        shown=shown,
        is_attack=split_halves(shown, seed),
        targets={role: _open_target(loaded, role, locations) for role in loaded.subjects},
        locations=locations,
        look=loaded.look,
        measure=loaded.measure,
        rate=loaded.rate,
        lower=loaded.lower,
        seed=seed,
    )
    return context, precisions


def _draw(loaded: Detectors, answers: Sequence[Answers]) -> tuple[Locations, ...]:
    """Draw locations of each layer in all scenes, by what the original says of them."""
    layers, total = loaded.subjects["original"].detector.layers, len(loaded.truth)
    parts, start = [], 0
    for piece in answers:
        stop = start + len(piece.boxes)
        parts.append(
            draw_locations(
                piece, loaded.truth[start:stop], layers, loaded.request,
                range(start, total), loaded.settings.seed,
            )
        )  # fmt: skip
        start = stop
    return tuple(join_locations(each) for each in zip(*parts, strict=True))


def _name_shown(boxes: Boxes, request: ForgetRequest) -> int:
    """Return a forgotten class that a scene shows, or `NO_CLASS`."""
    return next((index for index in request.forget if (boxes.classes == index).any()), NO_CLASS)


def _open_target(loaded: Detectors, role: Role, locations: tuple[Locations, ...]) -> DetectorTarget:
    subject, settings = loaded.subjects[role], loaded.settings
    try:
        evidence = collect_evidence(
            subject.model.proto, subject.detector, subject.image_input, loaded.scenes, locations,
            loaded.request, settings.provider, settings.kernels,
        )  # fmt: skip
    except CannotRunError as error:
        message = f"{subject.model.path}: {error}"
        raise NotFiniteError(message, remedy="Check the model's weights.") from error
    return DetectorTarget(
        model=subject.model,
        detector=subject.detector,
        image_input=subject.image_input,
        evidence=evidence,
    )


def _require_finite(subject: Subject, answers: Sequence[Answers]) -> None:
    if not all(np.isfinite(each.scores).all() for each in answers):
        message = f"{subject.model.path} computes scores that are not finite"
        raise NotFiniteError(message, remedy="Check the model's weights.")


def _require_independent(subjects: Mapping[Role, Subject], answers: Mapping[Role, Answers]) -> None:
    """Refuse a reference that is one of the other models: it would agree with it in everything."""
    for role in ("original", "edited"):
        if "reference" in answers and np.array_equal(
            answers["reference"].scores, answers[role].scores
        ):
            message = (
                f"{subjects['reference'].model.path} answers exactly as the {role} model: they are "
                "the same"
            )
            raise InputRefusedError(
                message,
                remedy=hint("Give {reference} a model that was trained without the class."),
            )
