"""All that a case names, read and compared: dossier's evidence."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nhle_onnx.data.labels import parse_classes
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.release.dossier.case import Case, read_case
from nhle_onnx.release.dossier.reading import AUDIT, UNLEARN, VERIFY, Document, read_report
from nhle_onnx.release.patch.container import open_patch
from nhle_onnx.values.detection import EditReport, VerificationReport
from nhle_onnx.values.detection_audit import AnyAudit
from nhle_onnx.values.kit import DeviceReport
from nhle_onnx.values.patch import Manifest
from nhle_onnx.workflows.device_result import DeviceResultSettings, judge_result

TOGETHER = "Give reports and files that belong together."


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that a case names, read. `derived` are reports by the position of their file."""

    case: Case
    folder: Path
    unlearn: Document[EditReport]
    verify: Document[VerificationReport] | None
    audit: Document[AnyAudit] | None
    patch: Manifest | None
    derived: dict[int, Document[VerificationReport]]
    devices: tuple[DeviceReport, ...]

    @property
    def reports(self) -> Iterator[tuple[str, Document[VerificationReport] | Document[AnyAudit]]]:
        """The reports that judge the edited model against the original, by name."""
        for name, document in (("verify", self.verify), ("audit", self.audit)):
            if document:
                yield name, document

    @property
    def judged(self) -> Iterator[tuple[str, EditReport | VerificationReport | AnyAudit]]:
        """All reports that were read, by what they are about."""
        yield "unlearn", self.unlearn.report
        yield from ((name, document.report) for name, document in self.reports)
        for place, document in self.derived.items():
            yield name_source(self.find(self.case.derived[place].file)), document.report

    def find(self, name: str) -> Path:
        """Return a path of the case, which is relative to it."""
        return self.folder / Path(name).expanduser()


def read_evidence(path: Path) -> Evidence:
    """Read a case and what it names. Raises InputRefusedError for reports of other classes."""
    case, folder = read_case(path), path.parent
    files = case.files
    found = Evidence(
        case=case,
        folder=folder,
        unlearn=read_report(folder / files.unlearn, UNLEARN),
        verify=read_report(folder / files.verify, VERIFY) if files.verify else None,
        audit=read_report(folder / files.audit, AUDIT) if files.audit else None,
        patch=open_patch(folder / files.patch).manifest if files.patch else None,
        derived={
            place: read_report(folder / each.report, VERIFY)
            for place, each in enumerate(case.derived)
            if each.report
        },
        devices=tuple(
            judge_result(DeviceResultSettings(result=folder / name)) for name in files.devices
        ),
    )
    _check_classes(found)
    return found


def _check_classes(found: Evidence) -> None:
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
            raise InputRefusedError(message, remedy=TOGETHER)


def _name(classes: tuple[int, ...]) -> str:
    return f"class {', '.join(map(str, classes))}"


def name_source(path: Path) -> str:
    """Name the report of a derived file."""
    return f"verify of {path.name}"
