"""nhle-onnx kit."""

from pathlib import Path
from typing import Any

import click

from nhle_onnx.cli.config import configurable
from nhle_onnx.cli.groups import GroupedCommand
from nhle_onnx.cli.isolation import isolated
from nhle_onnx.cli.options import ALLOW_UNJUDGED, JSON, MODEL, options_of, verbosity_options
from nhle_onnx.values.exit_codes import choose_exit_code
from nhle_onnx.values.settings.kit import KitSettings
from nhle_onnx.values.settings.option import make_settings


@click.command(
    "kit",
    cls=GroupedCommand,
    example="nhle-onnx kit model.unlearned.onnx --forget cat \\\n    --data images/ -o kit.zip",
)
@MODEL
@options_of(KitSettings)
@ALLOW_UNJUDGED
@verbosity_options
@JSON
@isolated
@configurable
def kit_command(model: Path, **values: Any) -> int:
    """Pack MODEL with images to check it on a device.

    Programs in the kit run it in Python, in a browser, or in Node. `verify --device-result` judges
    the result.
    """
    from nhle_onnx.cli.show import ProgressBar
    from nhle_onnx.release.report import render_json
    from nhle_onnx.workflows.kit import make_kit

    settings = make_settings(KitSettings, values, model=model)
    with ProgressBar(quiet=values["quiet"]) as progress:
        report = make_kit(settings, progress)
    if values["as_json"]:
        click.echo(render_json(report), nl=False)
    else:
        _show(report, quiet=values["quiet"])
    return choose_exit_code(report.verdict, allows_unjudged=values["allow_unjudged"])


def _show(report: Any, *, quiet: bool) -> None:
    from nhle_onnx.cli.show import (
        make_checks_table,
        make_kit_table,
        show_gaps,
        show_line,
        show_notes,
        show_table,
        show_verdict,
    )
    from nhle_onnx.release.meaning import explain_verdict

    show_line("model", f"{report.model.path} ({report.model.size_bytes:,} bytes)")
    if report.baseline:
        show_line("baseline", report.baseline.path)
    names = ", ".join(f"{index} {report.labels[index]}" for index in report.forget)
    show_line("forget", f"{names} (of {len(report.labels)} classes)")
    samples = report.samples
    show_line(
        "samples",
        f"{samples.kit} of {samples.available}, {samples.forgotten} of them to be forgotten",
    )
    click.echo()
    columns = {"before": report.before} if report.before else {}
    columns |= {report.provider: report.after}
    show_table(make_kit_table(report.labels, report.forget, columns, report.task))
    click.echo()
    show_table(make_checks_table(report.checks))
    show_gaps(report.checks)
    show_notes(report.notes, quiet=quiet)
    click.echo()
    show_line("kit", f"{report.kit.path} ({report.kit.size_bytes:,} bytes)")
    show_line("kit.json", f"SHA-256 {report.kit_json_sha256}")
    show_verdict(report.verdict, explain_verdict(report))
