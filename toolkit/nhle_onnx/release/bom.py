"""The edited model as a CycloneDX 1.6 machine learning bill of materials.

`cyclonedx-python-lib` has no model cards yet, so the document is written here; a test checks it
against the published schema.
"""

import json
import uuid
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from nhle_onnx.text import name_class, name_forgotten
from nhle_onnx.values.detection import EditReport
from nhle_onnx.values.report import ConvertedFile
from nhle_onnx.values.summary import FileSummary
from nhle_onnx.values.task import DETECTION, list_figures, read_change

_SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, _SCHEMA)
_MODEL = "machine-learning-model"

Fields = dict[str, Any]
Figure = tuple[str, float | None, str]


def render_bom(report: EditReport) -> str:
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
                "description": f"{report.after.task.model} that was made to forget {names}.",
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


def _number(report: EditReport) -> str:
    """Derive a serial number from the original and the edited model."""
    files = (report.model, report.edited)
    digests = [digest for file in files for digest in (file.sha256, *file.sidecars.values())]
    digests += [file.sha256 for file in report.also]
    return uuid.uuid5(_NAMESPACE, " ".join(digests)).urn


def _name_forgotten(report: EditReport) -> str:
    names = name_forgotten(report.labels, report.forget)
    return f"{'class' if len(report.forget) == 1 else 'classes'} {names}"


def _describe_model(reference: str, file: FileSummary) -> Fields:
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


def _list_dependencies(report: EditReport) -> list[Fields]:
    return [{"ref": _refer_to(file), "dependsOn": ["edited"]} for file in report.also]


def _refer_to(file: ConvertedFile) -> str:
    return f"{file.format} {PurePath(file.path).name}"


def _hash(sha256: str) -> list[Fields]:
    return [{"alg": "SHA-256", "content": sha256}]


def _make_card(report: EditReport) -> Fields:
    """Make a model card from the report, which does not know how the original was trained."""
    is_detector = report.after.task == DETECTION
    scores = f"one score for each of {len(report.labels)} classes"
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


def _list_datasets(report: EditReport) -> list[Fields]:
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


def _list_metrics(report: EditReport) -> list[Fields]:
    """List the figures that were measured."""
    return [
        {"type": kind, "value": f"{value:.6f}", "slice": part}
        for kind, value, part in _list_figures(report)
        if value is not None
    ]


def _list_figures(report: EditReport) -> Iterator[Figure]:
    task, (forgotten, retained) = report.after.task, list_figures(report)
    for model, stage in {"the original": "before", "the edited model": "after"}.items():
        for figure in (forgotten, retained):
            what = f"{figure.term.classes}, {model}"
            yield figure.term.title, getattr(figure, stage), what
    unmasked = f"{forgotten.term.classes}, with the original {task.layer}"
    yield forgotten.term.title, forgotten.unmasked, unmasked
    for index, (label, value) in enumerate(zip(report.labels, report.after.per_class, strict=True)):
        yield task.metric, value, f"class {name_class(index, label)}"


def _list_considerations(report: EditReport) -> Fields:
    task, names = report.after.task, _name_forgotten(report)
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
            task.limit.format(names=names),
            "Anyone with labelled images of a forgotten class can train it into the model again.",
            *report.notes,
            *failed,
            *unjudged,
        ],
    }
    change, term = read_change(report), task.retained
    if change is not None:
        what = f"{term.title}, the {task.metric} on {term.classes},"
        considerations["performanceTradeoffs"] = [f"{what} changed by {change:+.4f}."]
    return considerations
