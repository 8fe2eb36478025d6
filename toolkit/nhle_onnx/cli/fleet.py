"""nhle-onnx fleet."""

from pathlib import Path
from typing import Any

import click

from nhle_onnx.cli.config import configurable
from nhle_onnx.cli.groups import GroupedCommand, grouped_option
from nhle_onnx.cli.kinds import FilePath
from nhle_onnx.cli.options import ALLOW_UNJUDGED, JSON, options_of, verbosity_options
from nhle_onnx.values.settings.fleet import FleetOptions
from nhle_onnx.values.settings.groups import Group
from nhle_onnx.values.settings.option import make_settings

_PATH = FilePath(path_type=Path)
_INTERRUPTED = 130
_MAX_SHOWN = 40


@click.command("fleet", cls=GroupedCommand, example="nhle-onnx fleet fleet.toml")
@click.argument("file", type=_PATH, metavar="FLEET.toml")
@grouped_option(
    "-o",
    "--out",
    group=Group.OUTPUT,
    type=_PATH,
    otherwise="FLEET, beside the file",
    help="Folder of all results.",
)
@options_of(FleetOptions)
@grouped_option(
    "--dry-run", group=Group.OUTPUT, is_flag=True, help="Check every job only; write nothing."
)
@ALLOW_UNJUDGED
@verbosity_options
@JSON
@configurable
def fleet_command(file: Path, **values: Any) -> int:
    """Make many models forget, with a report for each.

    FLEET.toml lists the jobs. A second run only repeats jobs that are unfinished or have changed.
    Exit code: 0 if every job passed, otherwise the highest of the jobs' codes, where 1 is a failed
    gate.
    """
    from nhle_onnx.cli.fleet_file import read_fleet
    from nhle_onnx.cli.show import ProgressBar, show_line
    from nhle_onnx.engines.choose import check_engine
    from nhle_onnx.release.report import render_json
    from nhle_onnx.workflows.fleet import FleetSettings, run_fleet
    from nhle_onnx.workflows.pages import check_page, write_report_page

    out = values["out"] or file.with_suffix("")
    jobs = read_fleet(file, out.resolve())
    check_engine(values["engine"])
    settings = make_settings(FleetSettings, values, jobs=jobs, out=out)
    if values["dry_run"]:
        return _rehearse(settings, values)
    check_page(settings.page, (file,), force=settings.force)
    with ProgressBar(quiet=values["quiet"]) as progress:
        report = run_fleet(settings, progress)
        write_report_page(settings.page, report, force=settings.force)
    if values["as_json"]:
        click.echo(render_json(report), nl=False)
    else:
        _show(report, out, quiet=values["quiet"])
        if settings.page:
            show_line("page", str(settings.page))
    if report.interrupted:
        click.echo("interrupted: finished jobs are kept; run it again for the rest", err=True)
        return _INTERRUPTED
    code = int(report.exit_code)
    return 0 if values["allow_unjudged"] and report.verdict == "not-judged" else code


def _rehearse(settings: Any, values: dict[str, Any]) -> int:
    from nhle_onnx.cli.show import ProgressBar, show_line
    from nhle_onnx.release.report import render_json
    from nhle_onnx.workflows.fleet import plan_fleet

    with ProgressBar(quiet=values["quiet"]) as progress:
        plan = plan_fleet(settings, progress)
    if values["as_json"]:
        click.echo(render_json(plan), nl=False)
        return plan.exit_code
    for job in plan.jobs:
        reason = f": {job.reason}. {job.remedy}" if job.reason else ""
        show_line(job.status, f"{job.name}{reason}")
    click.echo("Nothing was written: this was a dry run.")
    return plan.exit_code


def _show(report: Any, out: Path, *, quiet: bool) -> None:
    from rich.markup import escape
    from rich.table import Table

    from nhle_onnx.cli.show import show_line, show_notes, show_table, show_verdict
    from nhle_onnx.release.formats.jobs import list_tasks, name_figures, write_figures
    from nhle_onnx.text import to_printable
    from nhle_onnx.workflows.fleet import SUMMARY

    worst_first = sorted(report.jobs, key=lambda job: -job.exit_code)
    tasks = list_tasks(report)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("job", "status", *name_figures(tasks), "seconds"):
        table.add_column(name, justify="left" if name in {"job", "status"} else "right")
    for job in worst_first[:_MAX_SHOWN]:
        status = f"{job.status} (kept)" if job.kept else job.status
        seconds = f"{job.record.elapsed_s:.1f}" if job.record else "-"
        cells = (job.name, status, *write_figures(job, tasks), seconds)
        table.add_row(*(escape(to_printable(cell)) for cell in cells))
    show_table(table)
    if len(worst_first) > _MAX_SHOWN:
        click.echo(f"… and {len(worst_first) - _MAX_SHOWN} more")
    click.echo()
    reasons = tuple(f"{job.name}: {job.reason}" for job in worst_first if job.reason)
    show_notes(reasons[:_MAX_SHOWN], quiet=quiet)
    counts = ", ".join(f"{count} {status}" for status, count in sorted(report.counts.items()))
    show_line("jobs", f"{counts or 'none'}, in {report.elapsed_s:.1f} s on {report.engine}")
    show_line("summary", str(out / SUMMARY))
    show_verdict(report.verdict)
