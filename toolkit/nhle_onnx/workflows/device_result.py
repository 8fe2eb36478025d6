"""verify, of a device's result: what a device found, judged again. Never imports torch."""

from dataclasses import dataclass
from pathlib import Path

from nhle_onnx.data.labels import parse_classes
from nhle_onnx.errors import InputRefusedError, refuse_unreadable
from nhle_onnx.graph.load import load_model
from nhle_onnx.graph.regular_files import read_regular
from nhle_onnx.release.kit.results import judge_figures, measure_answers, parse_result
from nhle_onnx.text import name_forgotten
from nhle_onnx.values.kit import DeviceReport, DeviceResult, Kit
from nhle_onnx.values.limits import MAX_ELEMENTS
from nhle_onnx.values.settings.gates import DeviceLimits
from nhle_onnx.verification.gates.judge import word_checks
from nhle_onnx.workflows.classifier import TOOL

_CLIPPED = (
    "the device's processor saturates uint8 × int8 sums: a quantized model answers otherwise there "
    "than on devices with VNNI or ARM dot products"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceResultSettings:
    """What the user asked. `model` is the one that the device should have run, `forget` the classes
    that its kit should be about; each if given.
    """

    result: Path
    model: Path | None = None
    forget: tuple[str, ...] = ()
    limits: DeviceLimits = DeviceLimits()
    max_elements: int = MAX_ELEMENTS


def judge_result(settings: DeviceResultSettings) -> DeviceReport:
    """Measure a device's answers anew, and judge them by the gates."""
    result, kit = _read_result(settings.result)
    if settings.model:
        _check_model(settings.model, kit, settings.max_elements)
    if settings.forget:
        _check_classes(settings, kit)
    figures = measure_answers(kit, result.predictions)
    checks, notes = judge_figures(kit, figures, settings.limits)
    return DeviceReport(
        tool=TOOL,
        result=str(settings.result),
        kit_json_sha256=result.kit.sha256,
        model=kit.model,
        runner=result.runner,
        measured_at=result.measured_at,
        runtime=result.runtime,
        device=result.device,
        latency_ms=result.latency_ms,
        labels=kit.labels,
        forget=kit.forget,
        samples=kit.samples,
        per_class=figures.per_class,
        before=kit.host.before,
        host=kit.host.after,
        after=figures.after,
        delta_acc_r=figures.delta_acc_r,
        agreement=figures.agreement,
        notes=(*notes, *((_CLIPPED,) if result.runtime.saturates else ())),
        checks=word_checks(checks, "flags"),
        task=kit.task,
    )


def _read_result(path: Path) -> tuple[DeviceResult, Kit]:
    try:
        return parse_result(read_regular(path))
    except OSError as error:
        raise refuse_unreadable(path, error, "Check the path of the result.") from error
    except ValueError as error:
        message = f"{path} is not the result of a device, or was changed: {error}"
        raise InputRefusedError(
            message, remedy="Run the kit on the device again, and copy its result as it is."
        ) from error


def _check_classes(settings: DeviceResultSettings, kit: Kit) -> None:
    wanted = tuple(sorted(set(parse_classes(settings.forget, kit.labels))))
    if wanted != kit.forget:
        asked, found = (name_forgotten(kit.labels, classes) for classes in (wanted, kit.forget))
        message = f"{settings.result} is about {found}, not {asked}"
        raise InputRefusedError(message, remedy="Give the result of a kit for the same classes.")


def _check_model(path: Path, kit: Kit, max_elements: int) -> None:
    model = load_model(path, max_elements=max_elements)
    if (model.sha256, dict(model.sidecars)) != (kit.model.sha256, kit.model.sidecars):
        message = f"{path} is not the model that the device ran: SHA-256 {kit.model.sha256}"
        raise InputRefusedError(message, remedy="Give the model that the kit was made of.")
