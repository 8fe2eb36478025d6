"""nhle-onnx diff."""

from pathlib import Path
from typing import Any

import click

from nhle_onnx.cli.config import configurable
from nhle_onnx.cli.groups import GroupedCommand, grouped_option
from nhle_onnx.cli.isolation import isolated
from nhle_onnx.cli.kinds import FilePath
from nhle_onnx.cli.options import JSON, options_of
from nhle_onnx.values.settings.groups import Group
from nhle_onnx.values.settings.model import ModelFlags

_SHOWN = 8  # of each kind
_PATH = FilePath(path_type=Path)


@click.command("diff", cls=GroupedCommand, example="nhle-onnx diff model.onnx model.unlearned.onnx")
@click.argument("first", metavar="A", type=_PATH)
@click.argument("second", metavar="B", type=_PATH)
@grouped_option(
    "--report",
    group=Group.MODEL,
    type=_PATH,
    otherwise="beside B",
    help="The report of `unlearn` on B.",
)
@options_of(ModelFlags, names=("max_elements",))
@JSON
@isolated
@configurable
def diff_command(
    first: Path, second: Path, report: Path | None, *, max_elements: int, as_json: bool
) -> int:
    """Show every difference between A and B.

    B's report must account for each of them.
    """
    from nhle_onnx.release.report import render_json
    from nhle_onnx.workflows.diff import compare_files

    difference = compare_files(first, second, report, max_elements=max_elements)
    if as_json:
        click.echo(render_json(difference), nl=False)
    else:
        _show(difference)
    return 0 if difference.passed else 1


def _show(difference: Any) -> None:
    from nhle_onnx.cli.show import make_differences_table, show_line, show_table
    from nhle_onnx.text import to_line

    for name, file in (("A", difference.first), ("B", difference.second)):
        show_line(name, f"{file.path} ({file.size_bytes:,} bytes, {file.sha256})")
    parts = {
        "graph": difference.structure,
        "metadata": difference.metadata,
        "unnamed": difference.unclaimed,
    }
    for name, lines in parts.items():
        for line in lines[:_SHOWN]:
            show_line(name, line)
        if len(lines) > _SHOWN:
            show_line(name, f"and {len(lines) - _SHOWN} more: see --json")
    show_line("size", f"{difference.growth_bytes:+,} bytes")
    if difference.tensors:
        click.echo()
        show_table(make_differences_table(difference.tensors))
    click.echo()
    colour = "green" if difference.passed else "red"
    click.secho(to_line(difference.verdict), fg=colour)
