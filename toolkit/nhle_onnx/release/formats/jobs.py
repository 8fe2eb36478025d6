"""The figures of a fleet's jobs, which are others for detectors than for classifiers."""

from collections.abc import Sequence

from nhle_onnx.text import format_number
from nhle_onnx.values.fleet import FleetReport, JobResult
from nhle_onnx.values.task import Task

_OF_ANY_TASK = ("forgotten", "change of the others", "unmasked")


def list_tasks(report: FleetReport) -> tuple[Task, ...]:
    """List the tasks of finished jobs, each once."""
    return tuple(dict.fromkeys(job.record.task for job in report.jobs if job.record))


def name_figures(tasks: Sequence[Task]) -> tuple[str, ...]:
    """Name the columns of figures: after what they are, if that is the same in all jobs."""
    if len(tasks) != 1:
        return _OF_ANY_TASK
    forgotten, retained = (term.title for term in tasks[0].terms)
    return forgotten, f"change of {retained}", f"{forgotten} unmasked"


def write_figures(job: JobResult, tasks: Sequence[Task]) -> tuple[str, ...]:
    """Write a job's figures: each with its name, if other jobs have others."""
    if job.record is None:
        return ("-",) * len(_OF_ANY_TASK)
    figures = tuple(map(format_number, job.record.figures))
    if len(tasks) == 1:
        return figures
    forgotten, retained = (term.title for term in job.record.task.terms)
    names = (forgotten, retained, forgotten)
    return tuple(f"{name} {figure}" for name, figure in zip(names, figures, strict=True))
