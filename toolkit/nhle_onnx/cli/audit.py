"""nhle-onnx audit."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from nhle_onnx.cli.isolation import isolated
from nhle_onnx.cli.options import (
    FORGET,
    JSON,
    KERNELS,
    MODEL,
    make_model_flags,
    model_options,
    verbosity_options,
)

_PATH = click.Path(path_type=Path)


@click.command("audit")
@MODEL
@FORGET
@click.option("--baseline", type=_PATH, required=True, help="The model before it forgot.")
@click.option(
    "--data",
    type=_PATH,
    required=True,
    help="Labelled samples of all classes that no model was trained on: half are the attacker's, "
    "half judge.",
)
@click.option("--reference", type=_PATH, help="A model that was trained without the class.")
@click.option(
    "--members",
    type=_PATH,
    help="Samples that the baseline was trained on, for membership inference.",
)
@click.option("--report", "page", type=_PATH, help="The report as a page for people, FILE.html.")
@click.option(
    "--unlearn-report", type=_PATH, help="The report.json of `unlearn`, to show how training went."
)
@click.option("--max-acc-f", type=click.FloatRange(0, 1), default=0.01, show_default=True)
@click.option(
    "--provider",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where ONNX Runtime runs.",
)
@KERNELS
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where the attacker trains.",
)
@click.option("--batch-size", type=click.IntRange(1), default=256, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--force", is_flag=True, help="Replace a page that exists.")
@model_options
@verbosity_options
@JSON
@isolated
def audit_command(model: Path, **values: Any) -> int:
    """Attack MODEL as somebody who holds the file could, and say how close it is to one that never
    saw the forgotten classes.
    """
    from nhle_onnx.cli.show import ProgressBar
    from nhle_onnx.release.report import render_json
    from nhle_onnx.values.report import Limits
    from nhle_onnx.workflows.audit import AuditSettings, audit_model
    from nhle_onnx.workflows.audit_page import check_page, write_page

    settings = AuditSettings(
        model=model,
        flags=make_model_flags(values),
        limits=Limits(max_acc_f=values["max_acc_f"]),
        command=shlex.join(["nhle-onnx", *sys.argv[1:]]),
        **{name: values[name] for name in _PLAIN},
    )
    check_page(settings)
    with ProgressBar(quiet=values["quiet"]) as progress:
        audit = audit_model(settings, progress)
        write_page(settings, audit, progress)
    if values["as_json"]:
        click.echo(render_json(audit.report), nl=False)
    else:
        _show(audit.report, settings, quiet=values["quiet"])
    return 0 if audit.report.passed else 1


_PLAIN = (
    "baseline", "forget", "data", "reference", "members", "provider", "kernels", "device",
    "batch_size", "seed", "page", "unlearn_report", "force",
)  # fmt: skip


def _show(report: Any, settings: Any, *, quiet: bool) -> None:
    from nhle_onnx.cli.show import (
        make_accuracy_table,
        make_checks_table,
        make_measures_table,
        name_other_columns,
        show_line,
        show_notes,
        show_table,
        show_verdict,
    )

    show_line("model", report.model.path)
    show_line("baseline", report.baseline.path)
    if report.reference:
        show_line("reference", report.reference.path)
    names = ", ".join(f"{index} {report.labels[index]}" for index in report.forget)
    show_line("forget", names)
    samples = report.samples
    show_line(
        "samples",
        f"{samples.attack} to attack with, {samples.judge} to judge by, {samples.members} members",
    )
    click.echo()
    columns = dict(report.accuracies) | name_other_columns(report.other_kernels)
    show_table(make_accuracy_table(report.labels, report.forget, columns))
    click.echo()
    show_table(make_measures_table(report.measures))
    for skipped in report.skipped:
        show_line("not run", f"{skipped.attack}: {skipped.reason}")
    click.echo()
    show_table(make_checks_table(report.checks))
    show_notes(report.notes, quiet=quiet)
    click.echo()
    if settings.page:
        show_line("page", str(settings.page))
    show_verdict(passed=report.passed)
