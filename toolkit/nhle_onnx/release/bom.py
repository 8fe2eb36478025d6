"""The edited model as a CycloneDX 1.6 machine learning bill of materials.

`cyclonedx-python-lib` has no model cards yet, so the document is written here; a test checks it
against the published schema.
"""

import json
import uuid
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from nhle_onnx.text import name_class, name_forgotten
from nhle_onnx.values.detection import DetectionReport, Precision
from nhle_onnx.values.report import Accuracy, ConvertedFile, UnlearnReport
from nhle_onnx.values.summary import FileSummary, ModelSummary

_SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, _SCHEMA)
_MODEL = "machine-learning-model"

Fields = dict[str, Any]
Report = UnlearnReport | DetectionReport
Figure = tuple[str, float | None, str]


def render_bom(report: Report) -> str:
    """Write one JSON document. The same report gives the same text: no times, no random numbers."""
    edited = _describe_model("edited", report.edited)
    original = _describe_model("original", report.model)
    names = _name_forgotten(report)
    bom = {
        "$schema": _SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": _number(report),
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", **report.tool}]},
            "component": {
                **edited,
                "description": f"{_name_kind(report)} that was made to forget {names}.",
                "pedigree": {
                    "ancestors": [original],
                    "notes": f"Edited by {report.tool['name']} {report.tool['version']} "
                    f"({report.method['method']}) to forget {names}. "
                    f"{len(report.changed_tensors)} tensors changed, "
                    f"{len(report.added_tensors)} added.",
                },
                "modelCard": _make_card(report),
            },
        },
        "components": [_describe_converted(file) for file in report.also],
        "dependencies": [{"ref": "edited"}, *_list_dependencies(report)],
    }
    return json.dumps(bom, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _name_kind(report: Report) -> str:
    return "A detector" if isinstance(report, DetectionReport) else "An image classifier"


def _number(report: Report) -> str:
    """Derive a serial number from the original and the edited model."""
    files = (report.model, report.edited)
    digests = [digest for file in files for digest in (file.sha256, *file.sidecars.values())]
    digests += [file.sha256 for file in report.also]
    return uuid.uuid5(_NAMESPACE, " ".join(digests)).urn


def _name_forgotten(report: Report) -> str:
    names = name_forgotten(report.labels, report.forget)
    return f"{'class' if len(report.forget) == 1 else 'classes'} {names}"


def _describe_model(reference: str, file: FileSummary | ModelSummary) -> Fields:
    described: Fields = {
        "type": _MODEL,
        "bom-ref": reference,
        "name": PurePath(file.path).name,
        "hashes": _hash(file.sha256),
    }
    if file.sidecars:
        described["components"] = [
            {"type": "file", "name": name, "hashes": _hash(digest)}
            for name, digest in file.sidecars.items()
        ]
    return described


def _describe_converted(file: ConvertedFile) -> Fields:
    return {
        "type": _MODEL,
        "bom-ref": _refer_to(file),
        "name": PurePath(file.path).name,
        "description": f"The edited model in the .{file.format} format.",
        "hashes": _hash(file.sha256),
    }


def _list_dependencies(report: Report) -> list[Fields]:
    return [{"ref": _refer_to(file), "dependsOn": ["edited"]} for file in report.also]


def _refer_to(file: ConvertedFile) -> str:
    return f"{file.format} {PurePath(file.path).name}"


def _hash(sha256: str) -> list[Fields]:
    return [{"alg": "SHA-256", "content": sha256}]


def _make_card(report: Report) -> Fields:
    """Make a model card from the report, which does not know how the original was trained."""
    is_detector = isinstance(report, DetectionReport)
    scores = f"one score for each of {_count_classes(report)} classes"
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": "object detection" if is_detector else "classification",
            "datasets": _list_datasets(report),
            "inputs": [{"format": "image"}],
            "outputs": [{"format": f"boxes, each with {scores}" if is_detector else scores}],
        },
        "quantitativeAnalysis": {"performanceMetrics": _list_metrics(report)},
        "considerations": _list_considerations(report),
    }


def _count_classes(report: Report) -> int:
    if isinstance(report, DetectionReport):
        return report.model.detector.num_classes
    return report.model.head.num_classes


def _list_datasets(report: Report) -> list[Fields]:
    samples = report.samples
    uses = (
        (samples.forget, samples.source, "images of the forgotten classes"),
        (samples.anchors, samples.anchor_source, "images that keep the other classes unchanged"),
        (samples.eval, samples.eval_source, "images for evaluation"),
    )
    return [
        {"type": "dataset", "name": source, "description": f"{count} {use}"}
        for count, source, use in uses
        if count
    ]


def _list_metrics(report: Report) -> list[Fields]:
    """List the figures that were measured."""
    figures = (
        _list_precisions(report)
        if isinstance(report, DetectionReport)
        else _list_accuracies(report)
    )
    return [
        {"type": kind, "value": f"{value:.6f}", "slice": part}
        for kind, value, part in figures
        if value is not None
    ]


def _list_accuracies(report: UnlearnReport) -> Iterator[Figure]:
    for model, found in {"the original": report.before, "the edited model": report.after}.items():
        yield "Acc_F", found.acc_f, f"forgotten classes, {model}"
        yield "Acc_R", found.acc_r, f"retained classes, {model}"
    yield "Acc_F", report.unmasked.acc_f, "forgotten classes, with the original head"
    yield from _list_classes("accuracy", report.labels, report.after)


def _list_precisions(report: DetectionReport) -> Iterator[Figure]:
    for model, found in {"the original": report.before, "the edited model": report.after}.items():
        yield "AP_F", found.ap_f, f"forgotten classes, {model}"
        yield "mAP_R", found.map_r, f"retained classes, {model}"
    yield "AP_F", report.unmasked.ap_f, "forgotten classes, with the original class channels"
    yield from _list_classes("average precision", report.labels, report.after)


def _list_classes(
    kind: str, labels: Sequence[str], found: Accuracy | Precision
) -> Iterator[Figure]:
    for index, (label, value) in enumerate(zip(labels, found.per_class, strict=True)):
        yield kind, value, f"class {name_class(index, label)}"


def _list_considerations(report: Report) -> Fields:
    names = _name_forgotten(report)
    failed = [
        f"the check {check.name} failed: {check.value:.4f}, limit {check.limit:.4f}"
        for check in report.checks
        if check.verdict == "failed" and check.value is not None
    ]
    unjudged = [
        f"the check {check.name} was not judged: {check.gap}"
        for check in report.checks
        if check.verdict == "not-judged"
    ]
    considerations: Fields = {
        "technicalLimitations": [
            f"Objects of {names} are not detected as such; they may be as another class."
            if isinstance(report, DetectionReport)
            else f"An image of {names} is assigned another class.",
            "Anyone with labelled images of a forgotten class can train it into the model again.",
            *report.notes,
            *failed,
            *unjudged,
        ],
    }
    what, change = _describe_loss(report)
    if change is not None:
        considerations["performanceTradeoffs"] = [f"{what} changed by {change:+.4f}."]
    return considerations


def _describe_loss(report: Report) -> tuple[str, float | None]:
    if isinstance(report, DetectionReport):
        return "mAP_R, the mean average precision of retained classes,", report.delta_map_r
    return "Acc_R, the accuracy on retained classes,", report.delta_acc_r
