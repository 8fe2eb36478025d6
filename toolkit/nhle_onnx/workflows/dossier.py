"""dossier: a request and all that shows how it was fulfilled, bound by digests. No torch."""

from collections.abc import Iterator

from nhle_onnx.errors import UsageError
from nhle_onnx.graph.save import check_writable, write_files
from nhle_onnx.hints import hint
from nhle_onnx.release.dossier.page import describe_dossier
from nhle_onnx.release.dossier.reading import read_file
from nhle_onnx.release.dossier.risks import list_gaps, list_risks
from nhle_onnx.release.kit.archive import pack_files
from nhle_onnx.release.meaning import Report, explain_verdict, is_masked_only
from nhle_onnx.release.report import render_json
from nhle_onnx.release.signature import fingerprint, sign_contents
from nhle_onnx.values.detection import (
    DetectionReport,
    DetectionVerifyReport,
    EditReport,
    ShownScene,
    VerificationReport,
)
from nhle_onnx.values.detection_audit import AnyAudit, DetectionAuditReport
from nhle_onnx.values.dossier import Dossier, Finding, Kind, Request, Signer
from nhle_onnx.values.outcomes import ShownImage
from nhle_onnx.values.settings.dossier import DossierSettings
from nhle_onnx.values.signature import SigningKey
from nhle_onnx.workflows.classifier import TOOL
from nhle_onnx.workflows.dossier_evidence import Evidence, read_evidence
from nhle_onnx.workflows.dossier_files import bind_files

DOCUMENT, PAGE = "dossier.json", "dossier.html"
SIGNATURE = f"{DOCUMENT}.sig"
_METHOD = ("method", "mask", "scope", "loss", "steps_run", "stop_reason")


def make_dossier(settings: DossierSettings) -> Dossier:
    """Write the dossier, or refuse it where any digest is another than a document states.

    Raises InputRefusedError or UsageError; nothing is written then.
    """
    check_writable(settings.out, force=settings.force)
    key = _find_key(settings)
    evidence = read_evidence(settings.case)
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


def _assemble(found: Evidence, key_sha256: str | None) -> Dossier:
    unlearn, request = found.unlearn.report, found.case.request
    files = tuple(bind_files(found))
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


def _list_findings(found: Evidence) -> Iterator[Finding]:
    yield from (_find(name, report) for name, report in found.judged)
    for device in found.devices:
        name = device.device.get("name", "unknown device")
        yield _find(f"device {name}, {device.measured_at}", device)


def _list_pictured(found: Evidence) -> Iterator[str]:
    """Name the reports with pictures of images, which a page needs."""
    for name, report in found.judged:
        if any(each.picture for each in _list_shown(report)):
            yield name


def _list_shown(
    report: EditReport | VerificationReport | AnyAudit,
) -> tuple[ShownImage | ShownScene, ...]:
    if isinstance(report, DetectionReport | DetectionVerifyReport | DetectionAuditReport):
        return report.scenes
    outcomes = report.outcomes
    return (*outcomes.forgotten, *outcomes.mistakes) if outcomes else ()


def _find(source: str, report: Report) -> Finding:
    return Finding(
        source=source,
        verdict=report.verdict,
        meaning=explain_verdict(report),
        checks=report.checks,
        notes=report.notes,
    )


def _render(found: Evidence, dossier: Dossier, case: bytes) -> dict[str, bytes]:
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
