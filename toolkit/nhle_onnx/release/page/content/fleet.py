"""The page of a fleet."""

from nhle_onnx.release.page.cleaning import clean
from nhle_onnx.release.page.content.sections import (
    drop_empty,
    name_tool,
)
from nhle_onnx.release.page.elements import Page, Row, Section, Table
from nhle_onnx.release.page.figures import (
    format_plain,
    format_points,
    format_precision,
    format_share,
)
from nhle_onnx.release.page.tables import (
    tabulate_facts,
)
from nhle_onnx.release.page.verdicts import (
    judge_fleet,
)
from nhle_onnx.values.fleet import FleetReport, JobResult
from nhle_onnx.values.task import CLASSIFICATION, DETECTION

_MOST_JOBS = 24
_JOB_HEADER = ("job", "status", "forgotten", "other classes", "original head", "seconds")

# how figures of a task are written, and how their change is
_FORMATS = {
    CLASSIFICATION: (format_share, format_points),
    DETECTION: (format_precision, format_plain),
}


def describe_fleet(report: FleetReport) -> Page:
    """Return the page of a fleet: every job, those that did not pass first."""
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
        name_tool(report.tool): report.schema,
    }
    return Page(
        title="A fleet of models that forget",
        tool=name_tool(report.tool),
        verdict=judge_fleet(report),
        sections=drop_empty(
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
    write, write_change = _FORMATS[record.task]
    left, change, unmasked = record.figures
    cells = (write(left), write_change(change), write(unmasked))
    return (job.name, status, *cells, f"{record.elapsed_s:.0f}")
