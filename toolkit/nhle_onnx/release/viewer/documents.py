"""Reports read back from their JSON, which may come from strangers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from nhle_onnx.errors import InputRefusedError, describe_error
from nhle_onnx.graph.regular_files import read_text
from nhle_onnx.graph.strict_json import parse_json
from nhle_onnx.release.report import upgrade_report
from nhle_onnx.values.audit import AuditReport
from nhle_onnx.values.detection import (
    DetectionReport,
    DetectionVerifyReport,
    ShownBox,
    ShownScene,
)
from nhle_onnx.values.detection_audit import DetectionAuditReport
from nhle_onnx.values.fleet import FleetReport
from nhle_onnx.values.report import UnlearnReport, VerifyReport

Report = (
    UnlearnReport
    | VerifyReport
    | AuditReport
    | FleetReport
    | DetectionReport
    | DetectionVerifyReport
    | DetectionAuditReport
)

_KINDS: Mapping[str, type] = {
    "nhle-onnx/report/v2": UnlearnReport,
    "nhle-onnx/verify/v1": VerifyReport,
    "nhle-onnx/audit/v1": AuditReport,
    "nhle-onnx/fleet/v1": FleetReport,
    "nhle-onnx/detection/v1": DetectionReport,
    "nhle-onnx/detection-verify/v1": DetectionVerifyReport,
    "nhle-onnx/detection-audit/v1": DetectionAuditReport,
}
_REMEDY = "Give a .report.json of `unlearn`, or the JSON output of `verify`, `audit` or `fleet`."


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A report, and what to call it."""

    name: str
    report: Report


def read_documents(paths: Sequence[Path]) -> tuple[Document, ...]:
    """Read reports, and all reports that lie in folders. Raises InputRefusedError where a file is
    not a report, or where no report was found.
    """
    found = tuple(document for path in paths for document in _read(path))
    if not found:
        places = ", ".join(map(str, paths))
        raise InputRefusedError(f"there is no report in {places}", remedy=_REMEDY)
    return found


def _read(path: Path) -> Iterator[Document]:
    if not path.is_dir():
        yield read_document(path)
        return
    for file in sorted(path.glob("*.json")):
        try:
            yield read_document(file)
        except InputRefusedError:
            continue  # other JSON may lie there as well


def read_document(path: Path) -> Document:
    """Read a report. Raises InputRefusedError."""
    try:
        document = upgrade_report(_parse(read_text(path)))
        report = _adapt(_KINDS[document["schema"]]).validate_python(document)
        _check(report)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(describe_error(error).split())
        message = f"{path} is not a report that can be shown: {reason}"
        raise InputRefusedError(message, remedy=_REMEDY) from error
    return Document(name=path.name, report=report)


def _parse(text: str) -> dict[str, Any]:
    document = parse_json(text)
    if not isinstance(document, dict):
        raise TypeError("it is not a JSON object")
    return document


@cache
def _adapt(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _check(report: Report) -> None:
    """Require that classes which a report names exist in it. Raises ValueError."""
    if isinstance(report, FleetReport):
        return
    named = {*report.forget}
    if isinstance(report, DetectionReport | DetectionVerifyReport | DetectionAuditReport):
        named |= {box.index for scene in report.scenes for box in _list_boxes(scene)}
        _require_classes(named, report.labels)
        return
    for image in _list_images(report):
        named |= {image.true, *image.answers.values()}
    if report.outcomes:
        pairs = (pair for of_model in report.outcomes.confusion.values() for pair in of_model)
        named |= {index for true, given, _ in pairs for index in (true, given)}
    _require_classes(named, report.labels)


def _require_classes(named: Iterable[int], labels: Sequence[str]) -> None:
    if unknown := sorted(index for index in named if not 0 <= index < len(labels)):
        raise ValueError(f"it names class {unknown[0]} of {len(labels)}")


def _list_boxes(scene: ShownScene) -> Iterator[ShownBox]:
    yield from scene.true
    for boxes in scene.detected.values():
        yield from boxes


def _list_images(report: UnlearnReport | VerifyReport | AuditReport) -> Iterable[Any]:
    outcomes = report.outcomes
    return (*outcomes.forgotten, *outcomes.mistakes) if outcomes else ()
