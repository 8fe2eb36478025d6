"""The edited model as a CycloneDX 1.6 machine learning bill of materials.

`cyclonedx-python-lib` has no model cards yet, so the document is written here; a test checks it
against the published schema.
"""

import json
import uuid
from pathlib import PurePath
from typing import Any

from nhle_onnx.text import name_class, name_forgotten
from nhle_onnx.values.report import Accuracy, ConvertedFile, UnlearnReport
from nhle_onnx.values.summary import FileSummary, ModelSummary

_SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, _SCHEMA)
_MODEL = "machine-learning-model"

Fields = dict[str, Any]


def render_bom(report: UnlearnReport) -> str:
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
                "description": f"An image classifier that was made to forget {names}.",
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


def _number(report: UnlearnReport) -> str:
    """Derive a serial number from the original and the edited model."""
    files = (report.model, report.edited)
    digests = [digest for file in files for digest in (file.sha256, *file.sidecars.values())]
    digests += [file.sha256 for file in report.also]
    return uuid.uuid5(_NAMESPACE, " ".join(digests)).urn


def _name_forgotten(report: UnlearnReport) -> str:
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
    name = PurePath(file.path).name
    return {
        "type": _MODEL,
        "bom-ref": f"{file.format} {name}",
        "name": name,
        "description": f"The edited model in the .{file.format} format.",
        "hashes": _hash(file.sha256),
    }


def _list_dependencies(report: UnlearnReport) -> list[Fields]:
    return [
        {"ref": f"{file.format} {PurePath(file.path).name}", "dependsOn": ["edited"]}
        for file in report.also
    ]


def _hash(sha256: str) -> list[Fields]:
    return [{"alg": "SHA-256", "content": sha256}]


def _make_card(report: UnlearnReport) -> Fields:
    """Make a model card from the report, which does not know how the original was trained."""
    classes = report.model.head.num_classes
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": "classification",
            "datasets": _list_datasets(report),
            "inputs": [{"format": "image"}],
            "outputs": [{"format": f"one score for each of {classes} classes"}],
        },
        "quantitativeAnalysis": {"performanceMetrics": _list_metrics(report)},
        "considerations": _list_considerations(report),
    }


def _list_datasets(report: UnlearnReport) -> list[Fields]:
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


def _list_metrics(report: UnlearnReport) -> list[Fields]:
    """List the figures that were measured."""
    before, after = report.before, report.after
    figures = [
        *_list_accuracies(before, "the original"),
        *_list_accuracies(after, "the edited model"),
        ("Acc_F", report.unmasked.acc_f, "forgotten classes, with the original head"),
        *(
            ("accuracy", value, f"class {name_class(index, label)}")
            for index, (label, value) in enumerate(zip(report.labels, after.per_class, strict=True))
        ),
    ]
    return [
        {"type": kind, "value": f"{value:.6f}", "slice": part}
        for kind, value, part in figures
        if value is not None
    ]


def _list_accuracies(accuracy: Accuracy, model: str) -> list[tuple[str, float | None, str]]:
    return [
        ("Acc_F", accuracy.acc_f, f"forgotten classes, {model}"),
        ("Acc_R", accuracy.acc_r, f"retained classes, {model}"),
    ]


def _list_considerations(report: UnlearnReport) -> Fields:
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
            f"An image of {names} is assigned another class.",
            "Anyone with labelled images of a forgotten class can train it into the model again.",
            *report.notes,
            *failed,
            *unjudged,
        ],
    }
    if report.delta_acc_r is not None:
        change = f"Acc_R, the accuracy on retained classes, changed by {report.delta_acc_r:+.4f}."
        considerations["performanceTradeoffs"] = [change]
    return considerations
