"""The page of an audit of a detector."""

from nhle_onnx.release.page.attack_verdicts import answer_attacks, compare_with_retrained
from nhle_onnx.release.page.class_tables import tabulate_precision
from nhle_onnx.release.page.cleaning import clean
from nhle_onnx.release.page.content.audit import list_audit, show_evidence
from nhle_onnx.release.page.content.sections import (
    Trajectory,
    describe_training,
    drop_empty,
    keep,
    name_tool,
)
from nhle_onnx.release.page.elements import Page, Section, Table
from nhle_onnx.release.page.galleries import show_scenes
from nhle_onnx.release.page.pictures.attacks import picture_attacks, picture_curves, picture_scale
from nhle_onnx.release.page.tables import tabulate_facts, tabulate_files, tabulate_measures
from nhle_onnx.release.page.verdicts import judge_audit
from nhle_onnx.text import name_forgotten
from nhle_onnx.values.detection_audit import DetectionAuditReport


def describe_detection_audit(report: DetectionAuditReport, trajectory: Trajectory) -> Page:
    """Return the page of an audit of a detector, as that of a classifier's."""
    report = clean(report)
    named = (report.labels, report.forget)
    return Page(
        title=f"Has the detector forgotten {name_forgotten(*named)}?",
        tool=name_tool(report.tool),
        verdict=judge_audit(report),
        sections=drop_empty(
            _show_attacks(report),
            show_evidence(report),
            Section(
                title="What is left of it?",
                sentences=(compare_with_retrained(report),),
                galleries=keep(show_scenes(*named, report.scenes)),
                pictures=keep(picture_scale(report.measures)),
            ),
            Section(title="What is detected", tables=_tabulate(report)),
            describe_training(trajectory),
            Section(title="Notes", points=report.notes),
            Section(title="Provenance", tables=_list_provenance(report)),
        ),
    )


def _show_attacks(report: DetectionAuditReport) -> Section:
    words = ("average precision", "average precision")
    curves = picture_curves(report.curves, *words) if report.curves else None
    return Section(
        title="Can the class be brought back?",
        sentences=answer_attacks(report),
        pictures=keep(picture_attacks(report.measures), curves),
    )


def _tabulate(report: DetectionAuditReport) -> tuple[Table, ...]:
    names = {"original": "original", "edited": "edited", "reference": "retrained"}
    found = {names[role]: precision for role, precision in report.precisions.items()}
    return tabulate_precision(report.labels, report.forget, found)


def _list_provenance(report: DetectionAuditReport) -> tuple[Table, ...]:
    files = {"edited": report.model, "original": report.baseline, "retrained": report.reference}
    return (
        tabulate_measures(report.measures),
        tabulate_files(files),
        tabulate_facts("What was run", list_audit(report)),
    )
