"""The files of a dossier, bound by the digests that reports, patches and kits state."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.release.dossier.binding import Statement, bind_absent, bind_file
from nhle_onnx.release.dossier.reading import read_kit
from nhle_onnx.values.dossier import BoundFile
from nhle_onnx.values.kit import DeviceReport, KitModel
from nhle_onnx.values.patch import PatchedFile
from nhle_onnx.values.summary import FileSummary
from nhle_onnx.workflows.dossier_evidence import TOGETHER, Evidence, name_source


def bind_files(found: Evidence) -> Iterator[BoundFile]:
    """Bind every file; what a kit, a device or a report says is compared with the files."""
    files, unlearn = found.case.files, found.unlearn.report
    originals, edits = tuple(_state_originals(found)), tuple(_state_edits(found))
    if files.original:
        yield bind_file("original", found.find(files.original), originals)
    else:
        yield bind_absent("original", unlearn.model.path, originals)
    edited = bind_file("edited", found.find(files.edited), edits)
    derived = [_bind_derived(found, place) for place in range(len(found.case.derived))]
    yield edited
    yield from derived
    shipped = (edited, *derived)
    if files.patch:
        yield _bind_patch(found, found.find(files.patch))
    kits = [_bind_kit(found.find(name), shipped) for name in files.kits]
    yield from (file for file, _ in kits)
    for device, name in zip(found.devices, files.devices, strict=True):
        yield _bind_device(found.find(name), device, shipped, [digest for _, digest in kits])


def _state_originals(found: Evidence) -> Iterator[Statement]:
    yield _state("unlearn", found.unlearn.report.model)
    known = ((name, document.report.baseline) for name, document in found.reports)
    yield from (_state(name, baseline) for name, baseline in known if baseline)
    if found.patch:
        yield _state_patched(found.patch.base)


def _state_edits(found: Evidence) -> Iterator[Statement]:
    yield _state("unlearn", found.unlearn.report.edited)
    yield from (_state(name, document.report.model) for name, document in found.reports)
    if found.patch:
        yield _state_patched(found.patch.result)


def _state(source: str, file: FileSummary) -> Statement:
    return Statement(source=source, sha256=file.sha256, sidecars=file.sidecars)


def _state_patched(files: tuple[PatchedFile, ...]) -> Statement:
    first, *others = files
    sidecars = {file.name: file.sha256 for file in others}
    return Statement(source="patch", sha256=first.sha256, sidecars=sidecars)


def _bind_derived(found: Evidence, place: int) -> BoundFile:
    """Bind a file that was made of the edited model, by its own report or by that of `unlearn`."""
    derived, document = found.case.derived[place], found.derived.get(place)
    path = found.find(derived.file)
    bound = bind_file(
        derived.kind, path, (_state(name_source(path), document.report.model),) if document else ()
    )
    converted = {file.sha256 for file in found.unlearn.report.also}
    return replace(bound, confirmed_by=("unlearn",)) if bound.sha256 in converted else bound


def _bind_patch(found: Evidence, path: Path) -> BoundFile:
    stated = found.patch.report_sha256 if found.patch else None
    if stated not in {None, found.unlearn.sha256}:
        message = f"{path} was made with another report than {found.unlearn.path}"
        raise InputRefusedError(message, remedy=TOGETHER)
    return replace(bind_file("patch", path, ()), confirmed_by=("its base and its result",))


def _bind_kit(path: Path, shipped: tuple[BoundFile, ...]) -> tuple[BoundFile, str]:
    kit, digest = read_kit(path)
    model = _find_shipped(path, kit.model, shipped)
    return replace(bind_file("kit", path, ()), confirmed_by=(f"its model is {model}",)), digest


def _bind_device(
    path: Path, device: DeviceReport, shipped: tuple[BoundFile, ...], kits: list[str]
) -> BoundFile:
    if kits and device.kit_json_sha256 not in kits:
        message = f"{path} is the result of another kit than those of the case"
        raise InputRefusedError(message, remedy=TOGETHER)
    model = _find_shipped(path, device.model, shipped)
    return replace(bind_file("device result", path, ()), confirmed_by=(f"its model is {model}",))


def _find_shipped(path: Path, model: KitModel, shipped: tuple[BoundFile, ...]) -> str:
    for file in shipped:
        if (file.sha256, file.sidecars) == (model.sha256, model.sidecars):
            return file.name
    message = f"{path} is about a model with SHA-256 {model.sha256}, which is not in the case"
    raise InputRefusedError(message, remedy=TOGETHER)
