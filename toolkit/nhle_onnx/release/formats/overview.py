"""An overview of any report."""

from collections.abc import Sequence

from nhle_onnx.release.formats.jobs import list_tasks, name_figures, write_figures
from nhle_onnx.release.meaning import Report, explain_verdict
from nhle_onnx.text import format_number, name_forgotten
from nhle_onnx.values.audit import AuditReport
from nhle_onnx.values.detection import DetectionReport
from nhle_onnx.values.detection_audit import DetectionAuditReport
from nhle_onnx.values.fleet import FleetReport, JobResult
from nhle_onnx.values.kit import DeviceReport, KitReport
from nhle_onnx.values.overview import Case, Overview
from nhle_onnx.values.report import UnlearnReport
from nhle_onnx.values.summary import FileSummary
from nhle_onnx.values.task import Task
from nhle_onnx.values.verdict import Check, Verdict

_CHECK_HEADER = ("value", "limit", "95 % bound", "images")
_COMMANDS = {
    UnlearnReport: "unlearn",
    DetectionReport: "unlearn",
    AuditReport: "audit",
    DetectionAuditReport: "audit",
    KitReport: "kit",
}
_ROLES = ("model", "edited", "baseline", "reference")


def make_overview(report: Report | FleetReport) -> Overview:
    """Return the overview of a report."""
    if isinstance(report, FleetReport):
        return _sum_up_fleet(report)
    names = name_forgotten(report.labels, report.forget)
    seconds = {} if isinstance(report, KitReport | DeviceReport) else report.elapsed_s
    return Overview(
        command=_COMMANDS.get(type(report), "verify"),
        title=f"forgetting {names}",
        verdict=report.verdict,
        meaning=explain_verdict(report),
        header=_CHECK_HEADER,
        cases=tuple(map(describe_check, report.checks)),
        facts=_list_files(report),
        notes=report.notes,
        elapsed_s=sum(seconds.values()),
    )


def _list_files(report: Report) -> dict[str, str]:
    """List the models by role, with their digests."""
    files = {role: getattr(report, role, None) for role in _ROLES}
    return {
        role: f"{file.path}, SHA-256 {file.sha256}"
        for role, file in files.items()
        if isinstance(file, FileSummary)
    }


def describe_check(check: Check) -> Case:
    """Return a gate with its value, its limit, the 95 % bound, and the number of images."""
    evidence = check.evidence
    value, limit = format_number(check.value), format_number(check.limit)
    sign, side = ("≤", "above") if check.better == "lower" else ("≥", "below")
    reasons: dict[Verdict, str] = {
        "passed": "",
        "failed": f"{value} is {side} the limit {limit}",
        "not-judged": check.gap,
    }
    return Case(
        name=check.name,
        verdict=check.verdict,
        reason=reasons[check.verdict],
        cells=(
            value,
            f"{sign} {limit}",
            f"{sign} {format_number(evidence.bound)}" if evidence else "",
            f"{evidence.images:,}" if evidence else "",
        ),
    )


def _sum_up_fleet(report: FleetReport) -> Overview:
    tasks = list_tasks(report)
    counts = ", ".join(f"{count} {status}" for status, count in sorted(report.counts.items()))
    rest = "; interrupted: run it again for the rest" if report.interrupted else ""
    return Overview(
        command="fleet",
        title=f"{len(report.jobs)} jobs",
        verdict=report.verdict,
        meaning=f"{counts or 'no jobs'}{rest}",
        header=("forgets", *name_figures(tasks), "seconds"),
        cases=tuple(_describe_job(job, tasks) for job in report.jobs),
        facts={"engine": f"{report.engine}, {report.workers} workers"},
        notes=(),
        elapsed_s=report.elapsed_s,
    )


def _describe_job(job: JobResult, tasks: Sequence[Task]) -> Case:
    record = job.record
    seconds = f"{record.elapsed_s:.1f}" if record else "-"
    verdicts: dict[str, Verdict] = {"passed": "passed", "not-judged": "not-judged"}
    missed = "a gate failed: see its report"
    reasons = {"passed": "", "failed": missed, "not-judged": "not judged: see its report"}
    return Case(
        name=f"{job.name} (kept)" if job.kept else job.name,
        verdict=verdicts.get(job.status, "failed"),
        reason=reasons.get(job.status, f"{job.status}: {job.reason}"),
        cells=(", ".join(job.forget), *write_figures(job, tasks), seconds),
        elapsed_s=record.elapsed_s if record else 0.0,
    )
