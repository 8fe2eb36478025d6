"""fleet: many models and requests on an engine; a stopped run can be resumed."""

import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from nhle_onnx.engines.choose import open_engine
from nhle_onnx.engines.engine import Failure, Outcome, take_value
from nhle_onnx.errors import InputRefusedError, NhleOnnxError
from nhle_onnx.graph.save import check_writable, write_files
from nhle_onnx.hints import hint, word, word_all
from nhle_onnx.release.formats.markdown import render_markdown
from nhle_onnx.release.formats.overview import make_overview
from nhle_onnx.release.report import render_json
from nhle_onnx.values.exit_codes import EXIT_CODES
from nhle_onnx.values.fleet import FleetPlan, FleetReport, JobPlan, JobResult
from nhle_onnx.values.settings.fleet import FleetOptions
from nhle_onnx.workflows.classifier import TOOL
from nhle_onnx.workflows.fleet_job import ERROR, Done, FleetJob, carry_out_job, check_job
from nhle_onnx.workflows.observer import Observer

SUMMARY = "summary.json"
TABLE = "summary.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSettings(FleetOptions):
    """The settings of `fleet`."""

    jobs: tuple[FleetJob, ...]
    out: Path


def run_fleet(settings: FleetSettings, observer: Observer) -> FleetReport:
    """Run every unfinished job, and write a summary of all jobs.

    An interrupt stops running jobs; finished ones are kept and reported as such. Raises
    InputRefusedError where the folder cannot be written, and DeviceUnavailableError.
    """
    _prepare(settings.out)
    start = time.perf_counter()
    jobs = {job.name: job for job in settings.jobs}
    results: dict[str, JobResult] = {}
    interrupted, workers = False, 0
    observer.start_stage(f"starting {settings.engine}")
    try:
        with open_engine(settings.engine, settings.workers) as engine:
            workers = engine.workers
            observer.start_stage(f"running {len(jobs)} jobs")
            with closing(engine.run(carry_out_job, jobs, settings.retries)) as outcomes:
                for outcome in outcomes:
                    result = _conclude(jobs[outcome.key], outcome)
                    results[outcome.key] = result
                    observer.advance(len(results), len(jobs), f"{result.name} {result.status}")
    except KeyboardInterrupt:
        interrupted = True
    report = FleetReport(
        tool=TOOL,
        engine=settings.engine,
        workers=workers,
        elapsed_s=round(time.perf_counter() - start, 3),
        interrupted=interrupted,
        counts=dict(Counter(result.status for result in results.values())),
        jobs=tuple(results[name] for name in jobs if name in results),
    )
    write_files(
        {
            settings.out / TABLE: render_markdown(make_overview(report)).encode(),
            settings.out / SUMMARY: render_json(report).encode(),
        },
        force=True,
    )
    return report


def plan_fleet(settings: FleetSettings, observer: Observer) -> FleetPlan:
    """Check every job as its run would before it trains, and write nothing."""
    observer.start_stage(f"checking {len(settings.jobs)} jobs")
    plans = []
    for number, job in enumerate(settings.jobs, start=1):
        plans.append(_plan(job))
        observer.advance(number, len(settings.jobs), f"{job.name} {plans[-1].status}")
    return FleetPlan(tool=TOOL, jobs=tuple(plans))


def _plan(job: FleetJob) -> JobPlan:
    plan = JobPlan(name=job.name, model=job.model, forget=job.settings.forget, status="ready")
    try:
        is_done = check_job(job)
    except NhleOnnxError as error:
        reason, remedy = word_all((error.reason, error.remedy), job.settings.wording)
        return replace(
            plan, status="refused", exit_code=error.exit_code, reason=reason, remedy=remedy
        )
    return replace(plan, status="kept") if is_done else plan


def _prepare(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{folder} cannot be made a folder: {error.strerror}"
        raise InputRefusedError(message, remedy=hint("Give {out} another folder.")) from error
    check_writable(folder / SUMMARY, force=True)


def _conclude(job: FleetJob, outcome: Outcome[Done]) -> JobResult:
    """Make a job's result; for a failure, also write a log in the job's folder."""
    if outcome.failure:
        _log(job, outcome.failure)
        return _make_result(job, outcome.failure)
    done = take_value(outcome)
    record = done.record
    return JobResult(
        name=job.name,
        model=job.model,
        forget=job.settings.forget,
        status=record.verdict,
        exit_code=EXIT_CODES[record.verdict],
        kept=done.kept,
        record=record,
    )


def _make_result(job: FleetJob, failure: Failure) -> JobResult:
    return JobResult(
        name=job.name,
        model=job.model,
        forget=job.settings.forget,
        status=failure.kind,
        exit_code=failure.error.exit_code,
        reason=word(failure.error.reason, job.settings.wording),
        remedy=word(failure.error.remedy, job.settings.wording),
    )


def _log(job: FleetJob, failure: Failure) -> None:
    error = failure.error
    reason, remedy = word_all((error.reason, error.remedy), job.settings.wording)
    text = "\n\n".join(filter(None, (f"{failure.kind}: {reason}", remedy, failure.detail)))
    job.folder.mkdir(parents=True, exist_ok=True)
    write_files({job.folder / ERROR: f"{text}\n".encode()}, force=True)
