"""dossier: a request and all that shows how it was fulfilled, bound by digests. No torch."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from nhle_onnx.data.labels import parse_classes
from nhle_onnx.errors import InputRefusedError, UsageError
from nhle_onnx.graph.save import check_writable, write_files
from nhle_onnx.hints import hint
from nhle_onnx.release.dossier.binding import Statement, bind_absent, bind_file
from nhle_onnx.release.dossier.case import Case, read_case
from nhle_onnx.release.dossier.page import describe_dossier
from nhle_onnx.release.dossier.reading import Document, read_file, read_kit, read_report
from nhle_onnx.release.dossier.risks import list_gaps, list_risks
from nhle_onnx.release.kit.archive import pack_files
from nhle_onnx.release.meaning import Report, explain_verdict, is_masked_only
from nhle_onnx.release.patch.container import open_patch
from nhle_onnx.release.report import render_json
from nhle_onnx.release.signature import fingerprint, sign_contents
from nhle_onnx.values.audit import AuditReport
from nhle_onnx.values.dossier import BoundFile, Dossier, Finding, Kind, Request, Signer
from nhle_onnx.values.kit import DeviceReport, KitModel
from nhle_onnx.values.patch import Manifest, PatchedFile
from nhle_onnx.values.report import UnlearnReport, VerifyReport
from nhle_onnx.values.settings.dossier import DossierSettings
from nhle_onnx.values.signature import SigningKey
from nhle_onnx.values.summary import FileSummary
from nhle_onnx.workflows.classifier import TOOL
from nhle_onnx.workflows.device_result import DeviceResultSettings, judge_result

DOCUMENT, PAGE = "dossier.json", "dossier.html"
SIGNATURE = f"{DOCUMENT}.sig"
_METHOD = ("method", "mask", "scope", "loss", "steps_run", "stop_reason")
_TOGETHER = "Give reports and files that belong together."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evidence:
    """All that a case names, read. `derived` are reports by the position of their file."""

    case: Case
    folder: Path
    unlearn: Document[UnlearnReport]
    verify: Document[VerifyReport] | None
    audit: Document[AuditReport] | None
    patch: Manifest | None
    derived: dict[int, Document[VerifyReport]]
    devices: tuple[DeviceReport, ...]

    @property
    def reports(self) -> Iterator[tuple[str, Document[VerifyReport] | Document[AuditReport]]]:
        """The reports that judge the edited model against the original, by name."""
        for name, document in (("verify", self.verify), ("audit", self.audit)):
            if document:
                yield name, document

    def find(self, name: str) -> Path:
        """Return a path of the case, which is relative to it."""
        return self.folder / Path(name).expanduser()


def make_dossier(settings: DossierSettings) -> Dossier:
    """Write the dossier, or refuse it where any digest is another than a document states.

    Raises InputRefusedError or UsageError; nothing is written then.
    """
    check_writable(settings.out, force=settings.force)
    key = _find_key(settings)
    evidence = _read(settings.case)
    dossier = _assemble(evidence, fingerprint(key) if key else None)
    contents = _render(evidence, dossier, read_file(settings.case))
    if key:
        contents[SIGNATURE] = sign_contents(contents, key)
    write_files({settings.out: pack_files(contents)}, force=settings.force)
    return dossier


def _find_key(settings: DossierSettings) -> SigningKey | None:
    if settings.key is None:
        if settings.certificate:
            raise UsageError("a certificate signs nothing", remedy=hint("Give its {key}."))
        return None
    return SigningKey(
        private_key=settings.key, password=settings.password, certificate=settings.certificate
    )


def _read(path: Path) -> _Evidence:
    case, folder = read_case(path), path.parent
    files = case.files
    found = _Evidence(
        case=case,
        folder=folder,
        unlearn=read_report(folder / files.unlearn, UnlearnReport),
        verify=read_report(folder / files.verify, VerifyReport) if files.verify else None,
        audit=read_report(folder / files.audit, AuditReport) if files.audit else None,
        patch=open_patch(folder / files.patch).manifest if files.patch else None,
        derived={
            place: read_report(folder / each.report, VerifyReport)
            for place, each in enumerate(case.derived)
            if each.report
        },
        devices=tuple(
            judge_result(DeviceResultSettings(result=folder / name)) for name in files.devices
        ),
    )
    _check_classes(found)
    return found


def _check_classes(found: _Evidence) -> None:
    """Refuse reports about other classes than the request names."""
    report = found.unlearn.report
    wanted = tuple(sorted(set(parse_classes(found.case.request.names, report.labels))))
    others = {name: document.report.forget for name, document in found.reports}
    others |= {
        f"derived file {place + 1}": each.report.forget for place, each in found.derived.items()
    }
    others |= {f"device result {device.result}": device.forget for device in found.devices}
    for name, forget in {"unlearn": report.forget, **others}.items():
        if tuple(sorted(forget)) != wanted:
            message = (
                f"the request is to forget {_name(wanted)}, but {name} is about {_name(forget)}"
            )
            raise InputRefusedError(message, remedy=_TOGETHER)


def _name(classes: tuple[int, ...]) -> str:
    return f"class {', '.join(map(str, classes))}"


def _assemble(found: _Evidence, key_sha256: str | None) -> Dossier:
    unlearn, request = found.unlearn.report, found.case.request
    files = tuple(_bind(found))
    findings = tuple(_list_findings(found))
    kind: Kind = "masking" if is_masked_only(unlearn) else "erasure"
    audit = found.audit.report if found.audit else None
    unmeasured = tuple(
        file.name for file in files if file.role != "original" and not file.confirmed_by
    )
    return Dossier(
        tool=TOOL,
        request=Request(
            id=request.id,
            received=request.received.isoformat(),
            completed=request.completed.isoformat(),
            due=request.due.isoformat() if request.due else None,
            basis=request.basis,
            forget=request.names,
        ),
        kind=kind,
        labels=unlearn.labels,
        forget=unlearn.forget,
        command=unlearn.command,
        method={name: str(unlearn.method[name]) for name in _METHOD if name in unlearn.method},
        files=files,
        findings=findings,
        gaps=list_gaps(kind, findings, unmeasured),
        risks=list_risks(
            unlearn, audit, findings, files, found.patch, tuple(_list_pictured(found))
        ),
        signers=tuple(
            Signer(name=each.name, role=each.role, date=each.date.isoformat())
            for each in found.case.signed_by
        ),
        key_sha256=key_sha256,
    )


def _bind(found: _Evidence) -> Iterator[BoundFile]:
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


def _state_originals(found: _Evidence) -> Iterator[Statement]:
    yield _state("unlearn", found.unlearn.report.model)
    known = ((name, document.report.baseline) for name, document in found.reports)
    yield from (_state(name, baseline) for name, baseline in known if baseline)
    if found.patch:
        yield _state_patched(found.patch.base)


def _state_edits(found: _Evidence) -> Iterator[Statement]:
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


def _bind_derived(found: _Evidence, place: int) -> BoundFile:
    """Bind a file that was made of the edited model, by its own report or by that of `unlearn`."""
    derived, document = found.case.derived[place], found.derived.get(place)
    path = found.find(derived.file)
    bound = bind_file(
        derived.kind, path, (_state(_name_source(path), document.report.model),) if document else ()
    )
    converted = {file.sha256 for file in found.unlearn.report.also}
    return replace(bound, confirmed_by=("unlearn",)) if bound.sha256 in converted else bound


def _name_source(path: Path) -> str:
    return f"verify of {path.name}"


def _bind_patch(found: _Evidence, path: Path) -> BoundFile:
    stated = found.patch.report_sha256 if found.patch else None
    if stated not in {None, found.unlearn.sha256}:
        message = f"{path} was made with another report than {found.unlearn.path}"
        raise InputRefusedError(message, remedy=_TOGETHER)
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
        raise InputRefusedError(message, remedy=_TOGETHER)
    model = _find_shipped(path, device.model, shipped)
    return replace(bind_file("device result", path, ()), confirmed_by=(f"its model is {model}",))


def _find_shipped(path: Path, model: KitModel, shipped: tuple[BoundFile, ...]) -> str:
    for file in shipped:
        if (file.sha256, file.sidecars) == (model.sha256, model.sidecars):
            return file.name
    message = f"{path} is about a model with SHA-256 {model.sha256}, which is no file of the case"
    raise InputRefusedError(message, remedy=_TOGETHER)


def _list_findings(found: _Evidence) -> Iterator[Finding]:
    yield _find("unlearn", found.unlearn.report)
    yield from (_find(name, document.report) for name, document in found.reports)
    for place, document in found.derived.items():
        path = found.find(found.case.derived[place].file)
        yield _find(_name_source(path), document.report)
    for device in found.devices:
        name = device.device.get("name", "unknown device")
        yield _find(f"device {name}, {device.measured_at}", device)


def _list_pictured(found: _Evidence) -> Iterator[str]:
    """Name the reports with pictures of images, which a page needs."""
    reports = {"unlearn": found.unlearn.report}
    others = {name: document.report for name, document in found.reports}
    for name, report in {**reports, **others}.items():
        outcomes = report.outcomes
        if outcomes and any(each.picture for each in (*outcomes.forgotten, *outcomes.mistakes)):
            yield name


def _find(source: str, report: Report) -> Finding:
    return Finding(
        source=source,
        verdict=report.verdict,
        meaning=explain_verdict(report),
        checks=report.checks,
        notes=report.notes,
    )


def _render(found: _Evidence, dossier: Dossier, case: bytes) -> dict[str, bytes]:
    """Render all files of the dossier, by name: the evidence is in it as it was read."""
    # slow to import, so only once all is known to fit
    from nhle_onnx.release.page.render import render_page  # noqa: PLC0415

    documents = {"unlearn.json": found.unlearn.content, "case.toml": case}
    documents |= {f"{name}.json": document.content for name, document in found.reports}
    documents |= {
        f"derived-{place + 1}.json": document.content for place, document in found.derived.items()
    }
    documents |= {
        f"device-{place}.json": read_file(found.find(name))
        for place, name in enumerate(found.case.files.devices, start=1)
    }
    return documents | {
        DOCUMENT: render_json(dossier).encode(),
        PAGE: render_page(describe_dossier(dossier)).encode(),
    }
