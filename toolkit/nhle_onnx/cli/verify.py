"""nhle-onnx verify."""

from pathlib import Path
from typing import Any

import click

from nhle_onnx.cli.options import (
    FORGET,
    JSON,
    MODEL,
    make_model_flags,
    model_options,
    verbosity_options,
)

_PATH = click.Path(path_type=Path)


@click.command("verify")
@MODEL
@FORGET
@click.option("--data", type=_PATH, required=True, help="Image folder, or .npz with x and y.")
@click.option("--baseline", type=_PATH, help="The model before it forgot.")
@click.option(
    "--provider",
    "providers",
    type=click.Choice(["auto", "cpu", "cuda"]),
    multiple=True,
    help="Where ONNX Runtime runs; repeat it for several.  [default: auto]",
)
@click.option("--batch-size", type=click.IntRange(1), default=256, show_default=True)
@click.option("--max-acc-f", type=click.FloatRange(0, 1), default=0.01, show_default=True)
@click.option("--max-acc-r-drop", type=click.FloatRange(-1, 1), default=0.035, show_default=True)
@model_options
@verbosity_options
@JSON
def verify_command(model: Path, **values: Any) -> int:
    """Measure what MODEL still knows of the forgotten classes, and judge it by the gates."""
    from nhle_onnx.cli.show import ProgressBar
    from nhle_onnx.release.report import render_json
    from nhle_onnx.values.report import Limits
    from nhle_onnx.workflows.verify import VerifySettings, verify_model

    settings = VerifySettings(
        model=model,
        forget=values["forget"],
        data=values["data"],
        flags=make_model_flags(values),
        baseline=values["baseline"],
        providers=values["providers"] or ("auto",),
        limits=Limits(max_acc_f=values["max_acc_f"], max_acc_r_drop=values["max_acc_r_drop"]),
        batch_size=values["batch_size"],
    )
    with ProgressBar(quiet=values["quiet"]) as progress:
        report = verify_model(settings, progress)
    if values["as_json"]:
        click.echo(render_json(report), nl=False)
    else:
        _show(report, quiet=values["quiet"])
    return 0 if report.passed else 1


def _show(report: Any, *, quiet: bool) -> None:
    from nhle_onnx.cli.show import (
        make_accuracy_table,
        make_checks_table,
        show_line,
        show_notes,
        show_table,
        show_verdict,
    )

    show_line("model", report.model.path)
    if report.baseline:
        show_line("baseline", report.baseline.path)
    show_line("samples", f"{report.samples}")
    columns = {"before": report.before} if report.before else {}
    columns |= {result.provider: result.accuracy for result in report.providers}
    show_table(make_accuracy_table(report.labels, report.forget, columns))
    click.echo()
    show_table(make_checks_table(report.checks))
    show_notes(report.notes, quiet=quiet)
    show_verdict(passed=report.passed)
