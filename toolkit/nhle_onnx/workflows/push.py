"""push: an edited model with its report and card, to registries. Only this reaches out."""

from pathlib import Path

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.release.dossier.binding import Statement, bind_file
from nhle_onnx.release.dossier.reading import UNLEARN, Document, read_report
from nhle_onnx.release.push.card import render_card
from nhle_onnx.release.push.choose import parse_target, push_package
from nhle_onnx.values.detection import EditReport
from nhle_onnx.values.push import Package, PushReport
from nhle_onnx.values.settings.push import PushSettings
from nhle_onnx.workflows.classifier import TOOL
from nhle_onnx.workflows.observer import Observer

_COMPANIONS = ("labels.txt", "preprocessor_config.json")


def push_model(settings: PushSettings, observer: Observer) -> PushReport:
    """Push a model to every target, after checking that its report is about these bytes, and that
    it passed or was not judged. Raises InputRefusedError or UsageError.
    """
    targets = tuple(map(parse_target, settings.targets))
    document = read_report(settings.report or _name_report(settings.model), UNLEARN)
    package = _pack(settings.model, document)
    pushed = []
    for target in targets:
        observer.start_stage(f"pushing to {target.registry}")
        pushed.append(push_package(target, package))
    return PushReport(
        tool=TOOL,
        model=str(settings.model),
        sha256=document.report.edited.sha256,
        files=tuple(sorted([*package.files, "README.md"])),
        pushed=tuple(pushed),
    )


def _name_report(model: Path) -> Path:
    return model.with_suffix(".report.json")


def _pack(model: Path, document: Document[EditReport]) -> Package:
    report = document.report
    stated = Statement(
        source=str(document.path), sha256=report.edited.sha256, sidecars=report.edited.sidecars
    )
    bound = bind_file("model", model, (stated,))
    if report.verdict == "failed":
        message = f"{document.path} says that {model} failed its gates"
        raise InputRefusedError(message, remedy="Push a model that has forgotten.")
    beside = {name: model.parent / name for name in (*bound.sidecars, *_COMPANIONS)}
    files = {model.name: model, f"{model.stem}.report.json": document.path}
    return Package(
        name=model.stem,
        report=report,
        files=files | {name: path for name, path in beside.items() if path.is_file()},
        card=render_card(report),
    )
