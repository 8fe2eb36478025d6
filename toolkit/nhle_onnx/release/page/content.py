"""What stands on the page of a report, in the order of reading: the verdict first."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from nhle_onnx.release.page.cleaning import clean
from nhle_onnx.release.page.elements import Gallery, Page, Picture, Row, Section, Table
from nhle_onnx.release.page.figures import format_points, format_share
from nhle_onnx.release.page.galleries import show_forgotten, show_mistakes
from nhle_onnx.release.page.pictures import (
    count_flows,
    picture_accuracy,
    picture_attacks,
    picture_confusion,
    picture_curves,
    picture_flows,
    picture_projection,
    picture_scale,
    picture_trajectory,
)
from nhle_onnx.release.page.tables import (
    list_gaps,
    list_preprocess,
    tabulate_accuracy,
    tabulate_attacks,
    tabulate_checks,
    tabulate_facts,
    tabulate_files,
    tabulate_measures,
)
from nhle_onnx.release.page.verdicts import (
    answer_attacks,
    compare_with_retrained,
    explain_attacks,
    judge_audit,
    judge_fleet,
    judge_unlearning,
    judge_verification,
    name_forgotten,
)
from nhle_onnx.values.audit import AuditReport, Projection
from nhle_onnx.values.fleet import FleetReport, JobResult
from nhle_onnx.values.outcomes import Outcomes, Role
from nhle_onnx.values.report import Accuracy, TrainingStep, UnlearnReport, VerifyReport
from nhle_onnx.values.verdict import Check

Part = TypeVar("Part", Picture, Gallery)
Trajectory = Sequence[TrainingStep]
_MOST_JOBS = 24
_JOB_HEADER = ("job", "status", "forgotten", "other classes", "original head", "seconds")


def describe_audit(
    report: AuditReport, projection: Projection | None, trajectory: Trajectory
) -> Page:
    """The page of an audit: can the class be brought back, how do we know, what is left? The
    trajectory is from the edited model's `report.json`, or empty.
    """
    report = clean(report)
    named = (report.labels, report.forget)
    files = {"edited": report.model, "original": report.baseline, "retrained": report.reference}
    return Page(
        title=f"Has the model forgotten {name_forgotten(*named)}?",
        tool=_name_tool(report.tool),
        verdict=judge_audit(report),
        sections=_drop_empty(
            _show_attacks(report),
            _show_evidence(report),
            _show_remains(report, projection),
            _show_answers(*named, report.accuracies, report.samples.judge, report.outcomes),
            _show_training(trajectory),
            Section(title="Notes", points=report.notes),
            Section(
                title="Provenance",
                tables=(
                    tabulate_measures(report.measures),
                    tabulate_files(files),
                    tabulate_facts("What was run", _list_audit(report)),
                ),
            ),
        ),
    )


def _show_attacks(report: AuditReport) -> Section:
    curves = picture_curves(report.curves) if report.curves else None
    return Section(
        title="Can the class be brought back?",
        sentences=answer_attacks(report),
        pictures=_keep(picture_attacks(report.measures), curves),
    )


def _show_evidence(report: AuditReport) -> Section:
    skipped = (f"{each.attack}: {each.reason}" for each in report.skipped)
    checks = tabulate_checks(report.checks, report.measures)
    return Section(
        title="How do we know?",
        sentences=explain_attacks(report),
        points=(*list_gaps(report.checks), *skipped),
        tables=(checks, tabulate_attacks(report.measures)),
    )


def _show_remains(report: AuditReport, projection: Projection | None) -> Section:
    labels, forget, outcomes, flows = report.labels, report.forget, report.outcomes, report.flows
    return Section(
        title="What is left of it?",
        sentences=(compare_with_retrained(report),),
        galleries=_keep(show_forgotten(labels, outcomes) if outcomes else None),
        pictures=_keep(
            picture_scale(report.measures),
            picture_flows(labels, forget, flows) if flows else None,
            picture_projection(report, projection) if projection else None,
        ),
    )


def describe_unlearning(report: UnlearnReport) -> Page:
    """The page of an edit: what `unlearn` measured."""
    report = clean(report)
    named = (report.labels, report.forget)
    before_and_after: dict[Role, Accuracy] = {"original": report.before, "edited": report.after}
    return Page(
        title=f"Forgetting {name_forgotten(*named)}",
        tool=_name_tool(report.tool),
        verdict=judge_unlearning(report),
        sections=_drop_empty(
            _show_checks(report.checks),
            _show_forgotten(*named, report.outcomes),
            _show_answers(*named, before_and_after, report.samples.eval, report.outcomes),
            _show_training(report.trajectory),
            Section(title="Notes", points=report.notes),
            Section(
                title="Provenance",
                tables=(
                    tabulate_files({"original": report.model, "edited": report.edited}),
                    tabulate_facts("What was run", _list_edit(report)),
                    tabulate_facts("Method", report.method),
                ),
            ),
        ),
    )


def _list_edit(report: UnlearnReport) -> dict[str, Any]:
    samples, model = report.samples, report.model
    return {
        **_list_run(report),
        "head": f"{model.head.op}, {model.head.feature_dim} features, "
        f"{model.head.num_classes} classes, {model.format}",
        "opset": model.opset,
        "tensors changed": len(report.changed_tensors),
        "tensors added": report.added_tensors,
        "samples to forget": f"{samples.forget} from {samples.source}",
        "anchors": f"{samples.anchors} from {samples.anchor_source}",
        "samples to judge by": f"{samples.eval} from {samples.eval_source}",
        **list_preprocess(report.preprocess),
        **_list_surroundings(report),
    }


def describe_verification(report: VerifyReport) -> Page:
    """The page of what `verify` measured."""
    report = clean(report)
    named = (report.labels, report.forget)
    accuracies: dict[Role, Accuracy] = {"original": report.before} if report.before else {}
    accuracies["edited"] = report.after
    return Page(
        title=f"What the model still knows of {name_forgotten(*named)}",
        tool=_name_tool(report.tool),
        verdict=judge_verification(report),
        sections=_drop_empty(
            _show_checks(report.checks),
            _show_forgotten(*named, report.outcomes),
            _show_answers(*named, accuracies, report.samples, report.outcomes),
            Section(title="Notes", points=report.notes),
            Section(
                title="Provenance",
                tables=(
                    tabulate_files({"model": report.model, "baseline": report.baseline}),
                    tabulate_facts(
                        "What was run",
                        {
                            "providers": [each.provider for each in report.providers],
                            "sums of 8-bit products": report.kernels,
                            "images": report.samples,
                            **list_preprocess(report.preprocess),
                            _name_tool(report.tool): report.schema,
                            **_list_seconds(report.elapsed_s),
                        },
                    ),
                ),
            ),
        ),
    )


def describe_fleet(report: FleetReport) -> Page:
    """The page of a fleet: every job, those that did not pass first."""
    report = clean(report)
    jobs = sorted(report.jobs, key=lambda job: -job.exit_code)
    rows = tuple(Row(cells=_list_job(job), is_marked=job.status != "passed") for job in jobs)
    figures = frozenset({2, 3, 4, 5})
    tables = (
        Table(title="Jobs", header=_JOB_HEADER, rows=rows[:_MOST_JOBS], figures=figures),
        Table(
            title=f"The other {len(rows) - _MOST_JOBS:,} jobs",
            header=_JOB_HEADER,
            rows=rows[_MOST_JOBS:],
            figures=figures,
            is_folded=True,
        ),
    )
    reasons = (f"{job.name}: {job.reason}. {job.remedy}".strip() for job in jobs if job.reason)
    facts = {
        "engine": report.engine,
        "workers": report.workers,
        "seconds": report.elapsed_s,
        _name_tool(report.tool): report.schema,
    }
    return Page(
        title="A fleet of models that forget",
        tool=_name_tool(report.tool),
        verdict=judge_fleet(report),
        sections=_drop_empty(
            Section(title="Jobs", tables=tuple(table for table in tables if table.rows)),
            Section(title="Not done", points=tuple(reasons)),
            Section(title="Provenance", tables=(tabulate_facts("What was run", facts),)),
        ),
    )


def _list_job(job: JobResult) -> tuple[str, ...]:
    status = f"{job.status} (kept)" if job.kept else job.status
    record = job.record
    if record is None:
        return (job.name, status, "-", "-", "-", "-")
    return (
        job.name,
        status,
        format_share(record.acc_f),
        format_points(record.delta_acc_r),
        format_share(record.unmasked_acc_f),
        f"{record.elapsed_s:.0f}",
    )


def _show_checks(checks: Sequence[Check]) -> Section:
    return Section(title="Checks", tables=(tabulate_checks(checks),), points=list_gaps(checks))


def _show_forgotten(
    labels: Sequence[str], forget: Sequence[int], outcomes: Outcomes | None
) -> Section:
    """Images that were forgotten, and what they are taken for now."""
    title = "What was forgotten"
    if outcomes is None:
        return Section(title=title)
    flows = count_flows(outcomes, forget, len(labels))
    return Section(
        title=title,
        galleries=_keep(show_forgotten(labels, outcomes)),
        pictures=_keep(picture_flows(labels, forget, flows) if flows else None),
    )


def _show_answers(
    labels: Sequence[str],
    forget: Sequence[int],
    accuracies: Mapping[Role, Accuracy],
    images: int,
    outcomes: Outcomes | None,
) -> Section:
    """The accuracy of every class, the worst mistakes, and which classes are confused."""
    title = "What the models answer"
    if not accuracies:
        return Section(title=title)
    return Section(
        title=title,
        sentences=(_say_images(outcomes),) if outcomes else (),
        galleries=_keep(show_mistakes(labels, outcomes) if outcomes else None),
        pictures=_keep(
            picture_accuracy(labels, forget, accuracies),
            picture_confusion(labels, forget, outcomes) if outcomes else None,
        ),
        tables=tabulate_accuracy(labels, forget, accuracies, images),
    )


def _say_images(outcomes: Outcomes) -> str:
    of_all = "" if outcomes.images == outcomes.available else f" of {outcomes.available:,}"
    return f"Images and mistakes on this page are of {outcomes.images:,}{of_all} images."


def _list_audit(report: AuditReport) -> dict[str, Any]:
    return {
        **_list_run(report),
        "samples of the attacker": report.samples.attack,
        "samples to judge by": report.samples.judge,
        "samples of the training set": report.samples.members,
        "samples from": report.samples.source,
        **list_preprocess(report.preprocess),
        **_list_surroundings(report),
    }


def _list_run(report: AuditReport | UnlearnReport) -> dict[str, Any]:
    """What was run, and where."""
    return {
        "command": report.command,
        "seed": report.seed,
        "provider": report.provider,
        "sums of 8-bit products": report.kernels,
        "device": report.device,
    }


def _show_training(trajectory: Trajectory) -> Section:
    return Section(
        title="How it was made to forget",
        pictures=(picture_trajectory(trajectory),) if trajectory else (),
    )


def _list_surroundings(report: AuditReport | UnlearnReport) -> dict[str, Any]:
    """Versions, and how long it took."""
    tool = {_name_tool(report.tool): report.schema}
    return {**tool, **report.environment, **_list_seconds(report.elapsed_s)}


def _list_seconds(elapsed_s: Mapping[str, float]) -> dict[str, float]:
    return {f"seconds: {stage}": took for stage, took in elapsed_s.items()}


def _name_tool(tool: Mapping[str, str]) -> str:
    return " ".join(tool.values())


def _keep(*parts: Part | None) -> tuple[Part, ...]:
    return tuple(part for part in parts if part is not None)


def _drop_empty(*sections: Section) -> tuple[Section, ...]:
    return tuple(section for section in sections if not section.is_empty)
