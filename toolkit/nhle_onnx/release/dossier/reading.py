"""The reports of a case, read as what they are: their verdicts follow from their own figures."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from nhle_onnx.errors import InputRefusedError, refuse_unreadable
from nhle_onnx.graph.regular_files import open_regular, read_regular
from nhle_onnx.graph.strict_json import parse_json
from nhle_onnx.release.kit.results import parse_kit
from nhle_onnx.release.report import upgrade_report
from nhle_onnx.values.audit import AuditReport
from nhle_onnx.values.detection import (
    DetectionReport,
    DetectionVerifyReport,
    EditReport,
    VerificationReport,
)
from nhle_onnx.values.detection_audit import AnyAudit, DetectionAuditReport
from nhle_onnx.values.kit import Kit
from nhle_onnx.values.report import UnlearnReport, VerifyReport
from nhle_onnx.values.verdict import Check

_KIT_JSON = "kit.json"
_CHECK = "Check the path in the case."
_MAX_TEXT = 2**26
_CHUNK = 2**20
_Report = TypeVar("_Report", bound=EditReport | VerificationReport | AnyAudit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Generic[_Report]):
    """A command by its name, and the kinds of its reports by their schema."""

    name: str
    kinds: Mapping[str, type[_Report]]


UNLEARN: Final[Command[EditReport]] = Command(
    name="unlearn",
    kinds={
        "nhle-onnx/report/v1": UnlearnReport,
        "nhle-onnx/report/v2": UnlearnReport,
        "nhle-onnx/detection/v1": DetectionReport,
    },
)
VERIFY: Final[Command[VerificationReport]] = Command(
    name="verify",
    kinds={
        "nhle-onnx/verify/v1": VerifyReport,
        "nhle-onnx/detection-verify/v1": DetectionVerifyReport,
    },
)
AUDIT: Final[Command[AnyAudit]] = Command(
    name="audit",
    kinds={
        "nhle-onnx/audit/v1": AuditReport,
        "nhle-onnx/detection-audit/v1": DetectionAuditReport,
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(Generic[_Report]):
    """A report, and the bytes that it was read from."""

    path: Path
    content: bytes
    report: _Report

    @property
    def sha256(self) -> str:
        """The digest of the file."""
        return hashlib.sha256(self.content).hexdigest()


def read_report(path: Path, command: Command[_Report]) -> Document[_Report]:
    """Read a command's report. Raises InputRefusedError for another document, and for one whose
    verdict does not follow from its checks.
    """
    content = read_file(path)
    try:
        document = parse_json(content)
        json.dumps(document, allow_nan=False)  # an infinity is not a figure
        kind = _find_kind(command, document["schema"])
        document = upgrade_report(document)
        report = TypeAdapter(kind).validate_python(document)
        report = replace(report, checks=_keep_counts(report.checks, document["checks"]))
        _check_classes(report)
        _check_verdict(report, document)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        reason = _explain(error)
        message = f"{path} is not a report of `{command.name}`, or was changed: {reason}"
        remedy = f"Give the JSON document of `{command.name}`, as it was written."
        raise InputRefusedError(message, remedy=remedy) from error
    return Document(path=path, content=content, report=report)


def read_file(path: Path) -> bytes:
    """Read a text file. Raises InputRefusedError."""
    try:
        return read_regular(path)
    except OSError as error:
        raise refuse_unreadable(path, error, _CHECK) from error


def read_kit(path: Path) -> tuple[Kit, str]:
    """Read a kit's kit.json and its digest, after checking every file that it names.

    Raises InputRefusedError for a kit that is damaged, or whose files are others than it says.
    """
    try:
        with open_regular(path) as stream, zipfile.ZipFile(stream) as archive:
            text = _read_entry(archive, _KIT_JSON, _MAX_TEXT)
            kit = parse_kit(text.decode())
            _check_entries(archive, kit)
    except OSError as error:
        raise refuse_unreadable(path, error, _CHECK) from error
    except (ValueError, KeyError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
        message = f"{path} is not a kit, or was changed: {_explain(error)}"
        raise InputRefusedError(message, remedy="Make the kit again.") from error
    return kit, hashlib.sha256(text).hexdigest()


def _check_entries(archive: zipfile.ZipFile, kit: Kit) -> None:
    folder = kit.model.file.rpartition("/")[0]
    stated = {kit.model.file: kit.model.sha256, kit.images.file: kit.images.sha256}
    stated |= {f"{folder}/{name}".removeprefix("/"): it for name, it in kit.model.sidecars.items()}
    for name, digest in stated.items():
        if _digest_entry(archive, name) != digest:
            raise ValueError(f"{name} has another digest than {_KIT_JSON} states")


def _read_entry(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    with archive.open(name) as entry:
        content = entry.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{name} has more than {limit:,} bytes")
    return content


def _digest_entry(archive: zipfile.ZipFile, name: str) -> str:
    digest = hashlib.sha256()
    with archive.open(name) as entry:
        while chunk := entry.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _keep_counts(checks: tuple[Check, ...], stated: list[dict[str, Any]]) -> tuple[Check, ...]:
    """Return checks with whole numbers where the document has them."""
    return tuple(
        replace(check, value=each["value"], limit=each["limit"])
        for check, each in zip(checks, stated, strict=True)
    )


def _find_kind(command: Command[_Report], schema: object) -> type[_Report]:
    if (name := str(schema)) not in command.kinds:
        raise ValueError(f"its schema is {schema}")
    return command.kinds[name]


def _check_classes(report: _Report) -> None:
    if not set(report.forget) <= set(range(len(report.labels))):
        raise ValueError(f"it has {len(report.labels)} labels, and is about class {report.forget}")


def _check_verdict(report: _Report, document: Mapping[str, Any]) -> None:
    """Compare what the document says of itself, and of each check, with what its figures say."""
    stated = [(document, report), *zip(document["checks"], report.checks, strict=True)]
    for said, found in stated:
        for key in ("verdict", "passed"):  # reports of `v1` have no verdict
            if key in said and said[key] != getattr(found, key):
                message = f"it says {key} is {said[key]}, but its figures say {getattr(found, key)}"
                raise ValueError(message)


def _explain(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return " ".join(str(error).split()) or type(error).__name__
