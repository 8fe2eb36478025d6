"""nhle-onnx dossier."""

from pathlib import Path
from typing import Any

import click

from nhle_onnx.cli.config import configurable
from nhle_onnx.cli.groups import GroupedCommand
from nhle_onnx.cli.isolation import isolated
from nhle_onnx.cli.kinds import FilePath
from nhle_onnx.cli.options import ALLOW_UNJUDGED, JSON, options_of
from nhle_onnx.values.exit_codes import choose_exit_code
from nhle_onnx.values.settings.dossier import DossierSettings
from nhle_onnx.values.settings.option import make_settings


@click.command(
    "dossier",
    cls=GroupedCommand,
    example="nhle-onnx dossier case.toml -o dossier.zip",
)
@click.argument("case", type=FilePath(path_type=Path), metavar="CASE.toml")
@options_of(DossierSettings)
@ALLOW_UNJUDGED
@JSON
@isolated
@configurable
def dossier_command(case: Path, **values: Any) -> int:
    """Bind a request to all that shows how it was fulfilled.

    CASE.toml names reports, patch, files and results; every digest is checked. The dossier has a
    page, a document and, with --key, a signature. The password of an encrypted key is read from the
    variable NHLE_ONNX_KEY_PASSWORD.
    """
    import os

    from nhle_onnx.release.report import render_json
    from nhle_onnx.workflows.dossier import make_dossier

    password = os.environ.get("NHLE_ONNX_KEY_PASSWORD")
    settings = make_settings(DossierSettings, values, case=case, password=password)
    dossier = make_dossier(settings)
    click.echo(render_json(dossier), nl=False) if values["as_json"] else _show(dossier, settings)
    return choose_exit_code(dossier.verdict, allows_unjudged=values["allow_unjudged"])


def _show(dossier: Any, settings: Any) -> None:
    from nhle_onnx.cli.show import show_line, show_verdict
    from nhle_onnx.release.dossier.page import conclude_dossier

    show_line("request", f"{dossier.request.id}, completed on {dossier.request.completed}")
    for file in dossier.files:
        show_line(
            "file", f"{file.role} {file.name}: {', '.join(file.confirmed_by) or 'unconfirmed'}"
        )
    for finding in dossier.findings:
        show_line("report", f"{finding.source}: {finding.verdict}")
    for gap in dossier.gaps:
        show_line("gap", gap)
    show_line("dossier", str(settings.out))
    show_verdict(dossier.verdict, conclude_dossier(dossier))
