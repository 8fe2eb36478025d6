"""The page of a detector: what `unlearn` or `verify` measured."""

from typing import Any

from nhle_onnx.release.page.class_tables import tabulate_precision
from nhle_onnx.release.page.cleaning import clean
from nhle_onnx.release.page.content.sections import (
    describe_checks,
    describe_training,
    drop_empty,
    keep,
    list_judged,
    list_run,
    list_surroundings,
    name_tool,
)
from nhle_onnx.release.page.elements import Page, Section, Table
from nhle_onnx.release.page.galleries import show_scenes
from nhle_onnx.release.page.tables import list_preprocess, tabulate_facts, tabulate_files
from nhle_onnx.release.page.verdicts import judge_detection
from nhle_onnx.text import name_forgotten
from nhle_onnx.values.detection import DetectionReport, DetectionVerifyReport

Report = DetectionReport | DetectionVerifyReport


def describe_detection(report: Report) -> Page:
    """The page of a detector before and after forgetting."""
    report = clean(report)
    named = (report.labels, report.forget)
    is_edit = isinstance(report, DetectionReport)
    lead = "Forgetting" if is_edit else "What the detector still knows of"
    return Page(
        title=f"{lead} {name_forgotten(*named)}",
        tool=name_tool(report.tool),
        verdict=judge_detection(report),
        sections=drop_empty(
            describe_checks(report.checks),
            Section(title="What was forgotten", galleries=keep(show_scenes(*named, report.scenes))),
            Section(title="What is detected", tables=_tabulate(report)),
            describe_training(report.trajectory if isinstance(report, DetectionReport) else ()),
            Section(title="Notes", points=report.notes),
            Section(title="Provenance", tables=_list_provenance(report)),
        ),
    )


def _tabulate(report: Report) -> tuple[Table, ...]:
    columns = {
        "original": report.before, "edited": report.after, "channels put back": report.unmasked,
    }  # fmt: skip
    found = {name: each for name, each in columns.items() if each}
    return tabulate_precision(report.labels, report.forget, found)


def _list_provenance(report: Report) -> tuple[Table, ...]:
    if isinstance(report, DetectionReport):
        return (
            tabulate_files({"original": report.model, "edited": report.edited}),
            tabulate_facts("What was run", _list_edit(report)),
            tabulate_facts("Method", report.method),
        )
    return (
        tabulate_files({"model": report.model, "baseline": report.baseline}),
        tabulate_facts("What was run", {"provider": report.provider, **list_judged(report)}),
    )


def _list_edit(report: DetectionReport) -> dict[str, Any]:
    samples, model = report.samples, report.model
    return {
        **list_run(report),
        "classes": f"{model.detector.num_classes}, {model.format}",
        "opset": model.opset,
        "tensors changed": len(report.changed_tensors),
        "images to forget": f"{samples.forget} from {samples.source}",
        "frames without the class": f"{samples.anchors} from {samples.anchor_source}",
        "images to judge by": f"{samples.eval} from {samples.eval_source}",
        **list_preprocess(report.preprocess),
        **list_surroundings(report),
    }
