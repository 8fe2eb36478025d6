"""A device's result: read back, and measured again from its answers.

A result is not a proof: whoever has the device can write one. But a result that was damaged, or
changed by hand in one place, contradicts itself.
"""

import hashlib
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from nhle_onnx.errors import NhleOnnxError
from nhle_onnx.values.kit import ClassCount, DeviceResult, Kit
from nhle_onnx.values.report import Accuracy, Check
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.gates import DeviceLimits, Limits
from nhle_onnx.verification.accuracy import measure_accuracy
from nhle_onnx.verification.gates import make_gates

_Value = TypeVar("_Value")
_KIT = TypeAdapter(Kit)
_RESULT = TypeAdapter(DeviceResult)


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
        message = "its copy of kit.json does not have the digest that it states"
        raise ValueError(message)
    kit = parse_kit(result.kit.document)
    _compare(result, kit)
    return result, kit


def parse_kit(text: str) -> Kit:
    """Parse a kit.json. Raises ValueError if it is not valid."""
    kit = _parse(_KIT, text.encode())
    count = len(kit.labels)
    try:
        request = ForgetRequest(forget=kit.forget, num_classes=count)
    except NhleOnnxError as error:
        raise ValueError(error.reason) from error
    if request.forget != kit.forget or not kit.classes or len(kit.classes) != len(kit.expected):
        message = "its kit.json contradicts itself"
        raise ValueError(message)
    if max(*kit.classes, *kit.expected) >= count:
        message = f"its kit.json has classes outside the model's {count}"
        raise ValueError(message)
    before = kit.host.before
    is_sized = before is None or len(before.per_class) == count
    if not is_sized or kit.host.after != measure_answers(kit, kit.expected).after:
        message = "its kit.json has figures of the host that do not follow from its answers"
        raise ValueError(message)
    return kit


def measure_answers(kit: Kit, predictions: tuple[int, ...]) -> Figures:
    """Measure accuracies, counts and agreement with the host."""
    classes, answers = np.array(kit.classes), np.array(predictions)
    request = ForgetRequest(forget=kit.forget, num_classes=len(kit.labels))
    after = measure_accuracy(answers, classes, request)
    before = kit.host.before.acc_r if kit.host.before else None
    return Figures(
        after=after,
        delta_acc_r=None if after.acc_r is None or before is None else after.acc_r - before,
        agreement=float((answers == np.array(kit.expected)).mean()),
        per_class=tuple(
            ClassCount(
                label=label,
                total=int((classes == index).sum()),
                correct=int(((classes == index) & (answers == index)).sum()),
                predicted=int((answers == index).sum()),
            )
            for index, label in enumerate(kit.labels)
        ),
    )


def judge_accuracy(
    kit: Kit, figures: Figures, limits: DeviceLimits
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """Check the gates of `verify`, and note each that could not be measured."""
    return make_gates(
        acc_f=figures.after.acc_f,
        delta_acc_r=figures.delta_acc_r,
        unmasked_acc_f=None,
        limits=Limits(max_acc_f=limits.max_acc_f, max_acc_r_drop=limits.max_acc_r_drop),
        expects_delta=kit.host.before is not None,
        expects_unmasked=False,
    )


def judge_figures(
    kit: Kit, figures: Figures, limits: DeviceLimits
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """Do as `judge_accuracy`, and also check the device's agreement with the host."""
    checks, notes = judge_accuracy(kit, figures, limits)
    agreement = Check(
        name="agreement", value=figures.agreement, limit=limits.min_agreement, better="higher"
    )
    return (*checks, agreement), notes


def _parse(adapter: TypeAdapter[_Value], content: bytes) -> _Value:
    try:
        return adapter.validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "it"
        message = f"{place}: {first['msg']}"
        raise ValueError(message) from error


def _compare(result: DeviceResult, kit: Kit) -> None:
    """Compare everything that a result states twice."""
    if len(result.predictions) != len(kit.classes) or max(result.predictions) >= len(kit.labels):
        message = "its predictions do not fit the kit's images and classes"
        raise ValueError(message)
    figures = measure_answers(kit, result.predictions)
    checks, _ = judge_figures(kit, figures, kit.limits)
    pairs = {
        "model_sha256": (result.model_sha256, kit.model.sha256),
        "samples": (result.samples, len(kit.classes)),
        "after": (result.after, figures.after),
        "delta_acc_r": (result.delta_acc_r, figures.delta_acc_r),
        "agreement": (result.agreement, figures.agreement),
        "per_class": (result.per_class, figures.per_class),
        "verdict.checks": (result.verdict.checks, checks),
        "verdict.passed": (result.verdict.passed, all(check.passed for check in checks)),
    }
    for name, (stated, found) in pairs.items():
        if stated != found:
            message = f"{name} does not follow from its predictions and the kit"
            raise ValueError(message)
