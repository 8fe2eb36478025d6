"""nhle-onnx push."""

from pathlib import Path
from typing import Any

import click

from nhle_onnx.cli.config import configurable
from nhle_onnx.cli.groups import GroupedCommand
from nhle_onnx.cli.isolation import isolated
from nhle_onnx.cli.options import JSON, MODEL, options_of, verbosity_options
from nhle_onnx.values.settings.option import make_settings
from nhle_onnx.values.settings.push import PushSettings


@click.command(
    "push", cls=GroupedCommand, example="nhle-onnx push model.unlearned.onnx --to hf:owner/name"
)
@MODEL
@options_of(PushSettings)
@verbosity_options
@JSON
@isolated
@configurable
def push_command(model: Path, **values: Any) -> None:
    """Push an edited MODEL with a model card to a registry.

    The registries are MLflow, the Hugging Face Hub, and OCI layouts in a folder. The report, labels
    and preprocessing go with it; the card says what was forgotten. A model that failed its gates is
    refused. Only `push`, `unlearn --push` and Ray use the network.
    """
    from nhle_onnx.cli.show import ProgressBar
    from nhle_onnx.release.report import render_json
    from nhle_onnx.workflows.push import push_model

    settings = make_settings(PushSettings, values, model=model)
    with ProgressBar(quiet=values["quiet"]) as progress:
        report = push_model(settings, progress)
    click.echo(render_json(report), nl=False) if values["as_json"] else _show(report)


def _show(report: Any) -> None:
    from nhle_onnx.cli.show import show_line

    show_line("model", f"{report.model}, SHA-256 {report.sha256}")
    show_line("files", ", ".join(report.files))
    for each in report.pushed:
        show_line("pushed", f"{each.target}: {each.place}")
