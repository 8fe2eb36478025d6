"""nhle-onnx audit."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from nhle_onnx.cli.config import configurable
from nhle_onnx.cli.groups import GroupedCommand
from nhle_onnx.cli.isolation import isolated
from nhle_onnx.cli.options import ALLOW_UNJUDGED, JSON, MODEL, options_of, verbosity_options
from nhle_onnx.values.exit_codes import choose_exit_code
from nhle_onnx.values.settings.audit import AuditSettings
from nhle_onnx.values.settings.option import make_settings


@click.command(
    "audit",
    cls=GroupedCommand,
    example="nhle-onnx audit model.unlearned.onnx --forget cat \\\n"
    "    --baseline model.onnx --data test/ --report a.html",
)
@MODEL
@options_of(AuditSettings)
@ALLOW_UNJUDGED
@verbosity_options
@JSON
@isolated
@configurable
def audit_command(model: Path, **values: Any) -> int:
    """Attack MODEL as anyone with the file could.

    Can the class be brought back? Each attack is also made on the model before forgetting and,
    if you have one, on a model that was trained without the class.
    """
    from nhle_onnx.cli.show import ProgressBar
    from nhle_onnx.release.report import render_json
    from nhle_onnx.workflows.audit import audit_model
    from nhle_onnx.workflows.audit_page import check_page, write_page

    settings: AuditSettings = make_settings(
        AuditSettings,
        values,
        model=model,
        command=shlex.join(["nhle-onnx", *sys.argv[1:]]),
        wording="flags",
    )
    check_page(settings)
    with ProgressBar(quiet=values["quiet"]) as progress:
        audit = audit_model(settings, progress)
        write_page(settings, audit, progress)
    if values["as_json"]:
        click.echo(render_json(audit.report), nl=False)
    else:
        _show(audit.report, settings, quiet=values["quiet"])
    return choose_exit_code(audit.report.verdict, allows_unjudged=values["allow_unjudged"])


def _show(report: Any, settings: Any, *, quiet: bool) -> None:
    from nhle_onnx.cli.show import (
        make_checks_table,
        make_measures_table,
        show_gaps,
        show_line,
        show_notes,
        show_table,
        show_verdict,
    )
    from nhle_onnx.release.meaning import explain_verdict

    show_line("model", report.model.path)
    show_line("baseline", report.baseline.path)
    if report.reference:
        show_line("reference", report.reference.path)
    names = ", ".join(f"{index} {report.labels[index]}" for index in report.forget)
    show_line("forget", names)
    samples = report.samples
    show_line(
        "samples",
        f"{samples.attack} for the attacker, {samples.judge} for measuring, {samples.members} "
        "members",
    )
    click.echo()
    show_table(_make_table(report))
    click.echo()
    show_table(make_measures_table(report.measures))
    for skipped in report.skipped:
        show_line("not run", f"{skipped.attack}: {skipped.reason}")
    click.echo()
    show_table(make_checks_table(report.checks))
    show_gaps(report.checks)
    show_notes(report.notes, quiet=quiet)
    click.echo()
    if settings.page:
        show_line("page", str(settings.page))
    show_verdict(report.verdict, explain_verdict(report))


def _make_table(report: Any) -> Any:
    from nhle_onnx.cli.show import make_accuracy_table, make_precision_table, name_other_columns

    if hasattr(report, "precisions"):
        return make_precision_table(report.labels, report.forget, report.precisions)
    columns = dict(report.accuracies) | name_other_columns(report.other_kernels)
    return make_accuracy_table(report.labels, report.forget, columns)
