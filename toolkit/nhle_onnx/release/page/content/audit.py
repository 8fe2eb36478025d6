"""The page of an audit."""

from typing import Any

from nhle_onnx.release.page.attack_verdicts import (
    answer_attacks,
    compare_with_retrained,
    explain_attacks,
)
from nhle_onnx.release.page.cleaning import clean
from nhle_onnx.release.page.content.sections import (
    Trajectory,
    describe_answers,
    describe_training,
    drop_empty,
    keep,
    list_run,
    list_surroundings,
    name_tool,
)
from nhle_onnx.release.page.elements import Page, Section
from nhle_onnx.release.page.galleries import show_forgotten
from nhle_onnx.release.page.pictures.answers import picture_flows
from nhle_onnx.release.page.pictures.attacks import (
    picture_attacks,
    picture_curves,
    picture_layers,
    picture_scale,
)
from nhle_onnx.release.page.pictures.features import picture_projection
from nhle_onnx.release.page.tables import (
    list_gaps,
    list_preprocess,
    tabulate_attacks,
    tabulate_checks,
    tabulate_facts,
    tabulate_files,
    tabulate_measures,
)
from nhle_onnx.release.page.verdicts import judge_audit
from nhle_onnx.text import name_forgotten
from nhle_onnx.values.audit import AuditReport, Projection
from nhle_onnx.values.detection_audit import AnyAudit


def describe_audit(
    report: AuditReport, projection: Projection | None, trajectory: Trajectory
) -> Page:
    """Return the page of an audit: can the class be brought back, how do we know, what is left? The
    trajectory is from the edited model's `report.json`, or empty.
    """
    report = clean(report)
    named = (report.labels, report.forget)
    files = {"edited": report.model, "original": report.baseline, "retrained": report.reference}
    return Page(
        title=f"Has the model forgotten {name_forgotten(*named)}?",
        tool=name_tool(report.tool),
        verdict=judge_audit(report),
        sections=drop_empty(
            _show_attacks(report),
            show_evidence(report),
            _show_remains(report, projection),
            describe_answers(*named, report.accuracies, report.samples.judge, report.outcomes),
            describe_training(trajectory),
            Section(title="Notes", points=report.notes),
            Section(
                title="Provenance",
                tables=(
                    tabulate_measures(report.measures),
                    tabulate_files(files),
                    tabulate_facts("What was run", list_audit(report)),
                ),
            ),
        ),
    )


def _show_attacks(report: AuditReport) -> Section:
    curves = picture_curves(report.curves) if report.curves else None
    return Section(
        title="Can the class be brought back?",
        sentences=answer_attacks(report),
        pictures=keep(picture_attacks(report.measures), curves),
    )


def show_evidence(report: AnyAudit) -> Section:
    """Describe each attack, what it found, and how that was judged."""
    skipped = (f"{each.attack}: {each.reason}" for each in report.skipped)
    checks = tabulate_checks(report.checks, report.measures)
    return Section(
        title="How do we know?",
        sentences=explain_attacks(report),
        points=(*list_gaps(report.checks, report.measures), *skipped),
        tables=(checks, *tabulate_attacks(report.measures)),
    )


def _show_remains(report: AuditReport, projection: Projection | None) -> Section:
    labels, forget, outcomes, flows = report.labels, report.forget, report.outcomes, report.flows
    return Section(
        title="What is left of it?",
        sentences=(compare_with_retrained(report),),
        galleries=keep(show_forgotten(labels, outcomes) if outcomes else None),
        pictures=keep(
            picture_scale(report.measures),
            picture_layers(report.measures),
            picture_flows(labels, forget, flows) if flows else None,
            picture_projection(report, projection) if projection else None,
        ),
    )


def list_audit(report: AnyAudit) -> dict[str, Any]:
    """List what was run, on what, and where."""
    return {
        **list_run(report),
        "samples of the attacker": report.samples.attack,
        "samples to judge by": report.samples.judge,
        "samples of the training set": report.samples.members,
        "samples from": report.samples.source,
        **list_preprocess(report.preprocess),
        **list_surroundings(report),
    }
