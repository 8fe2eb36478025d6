"""A device's result: read back, and measured again from its answers.

A result is not a proof: whoever has the device can write one. But a result that was damaged, or
changed by hand in one place, contradicts itself.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from nhle_onnx.errors import NhleOnnxError
from nhle_onnx.graph.strict_json import parse_json
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.kit import Answer, ClassCount, DeviceResult, Kit, KitObjects, Task
from nhle_onnx.values.report import Accuracy
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.gates import DeviceLimits, Limits
from nhle_onnx.values.verdict import Check
from nhle_onnx.verification.accuracy import compute_accuracy, measure_accuracy
from nhle_onnx.verification.gates.judge import Judge
from nhle_onnx.verification.gates.objects import judge_objects
from nhle_onnx.verification.gates.terms import Counted

_Value = TypeVar("_Value")
_KIT = TypeAdapter(Kit)
_RESULT = TypeAdapter(DeviceResult)
_NOTHING = -1  # in place of a class
_CHECKED: dict[Task, tuple[str, str]] = {
    "classifier": ("after.acc_f", "delta_acc_r"),
    "detector": ("after.detected", "delta_detected_r"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Figures that follow from the answers to a kit's images."""

    after: Accuracy
    delta_acc_r: float | None
    agreement: float
    per_class: tuple[ClassCount, ...]


def parse_result(content: bytes) -> tuple[DeviceResult, Kit]:
    """Parse a result, and the kit that it is about. Raises ValueError if it is not a result, or
    contradicts itself.
    """
    result = _parse(_RESULT, content)
    if hashlib.sha256(result.kit.document.encode()).hexdigest() != result.kit.sha256:
        raise ValueError("its copy of kit.json does not have the digest that it states")
    kit = parse_kit(result.kit.document)
    _compare(result, kit)
    return result, kit


def parse_kit(text: str) -> Kit:
    """Parse a kit.json. Raises ValueError if it is not valid."""
    kit = _parse(_KIT, text.encode())
    count = len(kit.labels)
    if kit.objects and not _is_read(kit.objects, kit):
        raise ValueError("its kit.json contradicts itself")
    try:
        request = ForgetRequest(forget=kit.forget, num_classes=count)
    except NhleOnnxError as error:
        raise ValueError(error.reason) from error
    if request.forget != kit.forget or not kit.classes or len(kit.classes) != len(kit.expected):
        raise ValueError("its kit.json contradicts itself")
    if max(kit.classes) >= count or not _fit(kit, kit.expected):
        raise ValueError(f"its kit.json has classes outside the model's {count}")
    before = kit.host.before
    if (before and not _follows(before, kit)) or kit.host.after != measure_answers(
        kit, kit.expected
    ).after:
        raise ValueError("its kit.json has figures of the host that do not follow from its answers")
    return kit


def _is_read(objects: KitObjects, kit: Kit) -> bool:
    """Whether scores and boxes can be read as it says, and every image shows an object."""
    steps = np.diff([-1, *objects.places]).tolist()
    return (
        {objects.boxes.axis, objects.scores.axis} <= {1, 2}
        and len(objects.scores.columns) == len(kit.labels)
        and len(objects.places) == len(objects.corners) == len(kit.classes)
        and {*steps} <= {0, 1}
        and steps[:1] == [1]
    )


def _fit(kit: Kit, answers: tuple[Answer, ...]) -> bool:
    """Whether answers fit the kit: classes of the model, or with a detector that of each object."""
    if len(answers) != len(kit.classes):
        return False
    if kit.objects:
        return all(given in {None, own} for given, own in zip(answers, kit.classes, strict=True))
    return all(given is not None and given < len(kit.labels) for given in answers)


def _follows(accuracy: Accuracy, kit: Kit) -> bool:
    """Whether accuracies are those of some answers to the kit's images."""
    totals = np.bincount(np.array(kit.classes), minlength=len(kit.labels)).tolist()
    shares = accuracy.per_class
    if len(shares) != len(totals):
        return False
    for share, total in zip(shares, totals, strict=True):
        if (share is None) != (total == 0) or not 0 <= (share or 0) <= 1:
            return False
    request = ForgetRequest(forget=kit.forget, num_classes=len(kit.labels))
    return compute_accuracy(_to_counts(accuracy, tuple(totals)), request) == accuracy


def measure_answers(kit: Kit, predictions: tuple[Answer, ...]) -> Figures:
    """Measure accuracies, counts and agreement with the host."""
    classes, answers, expected = map(_to_array, (kit.classes, predictions, kit.expected))
    totals, correct, predicted = (
        np.bincount(each, minlength=len(kit.labels)).tolist()
        for each in (classes, classes[classes == answers], answers[answers != _NOTHING])
    )
    request = ForgetRequest(forget=kit.forget, num_classes=len(kit.labels))
    after = measure_accuracy(answers, classes, request)
    before = kit.host.before.acc_r if kit.host.before else None
    return Figures(
        after=after,
        delta_acc_r=None if after.acc_r is None or before is None else after.acc_r - before,
        agreement=float((answers == expected).mean()),
        per_class=tuple(
            ClassCount(
                label=label,
                total=totals[index],
                correct=correct[index],
                predicted=predicted[index],
            )
            for index, label in enumerate(kit.labels)
        ),
    )


def _to_array(answers: tuple[Answer, ...]) -> npt.NDArray[np.int64]:
    return np.array([_NOTHING if answer is None else answer for answer in answers], np.int64)


def judge_accuracy(
    kit: Kit, figures: Figures, limits: DeviceLimits
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """Check the gates of `verify`, and note what their evidence lacks."""
    request = ForgetRequest(forget=kit.forget, num_classes=len(kit.labels))
    given = Limits(
        max_acc_f=limits.max_acc_f,
        max_acc_r_drop=limits.max_acc_r_drop,
        max_uncertainty=limits.max_uncertainty,
    )
    totals = tuple(count.total for count in figures.per_class)
    after = ClassCounts(correct=tuple(count.correct for count in figures.per_class), total=totals)
    before = _to_counts(kit.host.before, totals) if kit.host.before else None
    if kit.objects:
        return judge_objects(after, before, request, given), ()
    judge = Judge(request=request, limits=given, labels=kit.labels)
    return judge.judge(Counted(after=after, before=before, judges_features=False))


def _to_counts(accuracy: Accuracy, totals: tuple[int, ...]) -> ClassCounts:
    """Return the counts behind accuracies, which alone were kept."""
    pairs = zip(accuracy.per_class, totals, strict=True)
    return ClassCounts(
        correct=tuple(round((share or 0.0) * total) for share, total in pairs), total=totals
    )


def judge_figures(
    kit: Kit, figures: Figures, limits: DeviceLimits
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """Do as `judge_accuracy`, and also check the device's agreement with the host."""
    checks, notes = judge_accuracy(kit, figures, limits)
    return (*checks, _check_agreement(figures, limits)), notes


def list_device_checks(
    figures: Figures, limits: DeviceLimits, task: Task = "classifier"
) -> tuple[Check, ...]:
    """List the checks that a device makes itself: what it measured against the limits, no more."""
    forgotten, retained = _CHECKED[task]
    measured: tuple[tuple[str, float | None, float, Literal["lower", "higher"]], ...] = (
        (forgotten, figures.after.acc_f, limits.max_acc_f, "lower"),
        (retained, figures.delta_acc_r, -limits.max_acc_r_drop, "higher"),
    )
    checks = [
        Check(name=name, value=value, limit=limit, better=better)
        for name, value, limit, better in measured
        if value is not None
    ]
    return (*checks, _check_agreement(figures, limits))


def _check_agreement(figures: Figures, limits: DeviceLimits) -> Check:
    return Check(
        name="agreement", value=figures.agreement, limit=limits.min_agreement, better="higher"
    )


def _parse(adapter: TypeAdapter[_Value], content: bytes) -> _Value:
    try:
        value = adapter.validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise ValueError(f"{place}: {first['msg']}") from error
    parse_json(content)  # pydantic takes the last of a repeated key
    return value


def _compare(result: DeviceResult, kit: Kit) -> None:
    """Compare everything that a result states twice."""
    if not _fit(kit, result.predictions):
        raise ValueError("its predictions do not fit the kit's images and classes")
    figures = measure_answers(kit, result.predictions)
    checks = list_device_checks(figures, kit.limits, kit.task)
    pairs = {
        "model_sha256": (result.model_sha256, kit.model.sha256),
        "samples": (result.samples, kit.samples),
        "after": (result.after, figures.after),
        "delta_acc_r": (result.delta_acc_r, figures.delta_acc_r),
        "agreement": (result.agreement, figures.agreement),
        "per_class": (result.per_class, figures.per_class),
        "verdict.checks": (result.verdict.checks, checks),
        "verdict.passed": (result.verdict.passed, all(check.passed for check in checks)),
    }
    for name, (stated, found) in pairs.items():
        if stated != found:
            raise ValueError(f"{name} does not follow from its predictions and the kit")
