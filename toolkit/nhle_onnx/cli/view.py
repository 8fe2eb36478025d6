"""nhle-onnx view."""

from pathlib import Path

import click

from nhle_onnx.cli.config import configurable
from nhle_onnx.cli.groups import GroupedCommand, grouped_option
from nhle_onnx.cli.kinds import FilePath
from nhle_onnx.values.settings.groups import Group

_PATH = FilePath(path_type=Path)
_LAST_PORT = 65_535


@click.command("view", cls=GroupedCommand, example="nhle-onnx view model.unlearned.report.json")
@click.argument("reports", type=_PATH, nargs=-1, metavar="[REPORT]...")
@grouped_option(
    "--port",
    type=click.IntRange(0, _LAST_PORT),
    default=0,
    group=Group.PLACES,
    otherwise="a free one",
    help="Port on this machine.",
)
@grouped_option("--open", "opens", is_flag=True, group=Group.OUTPUT, help="Open the browser.")
@configurable
def view_command(reports: tuple[Path, ...], port: int, *, opens: bool) -> int:
    """Look at reports in a browser, and compare them.

    REPORT is a report.json of `unlearn`, the --json output of `verify`, `audit` or `fleet`, or a
    folder of them; by default the current folder. Only this machine can open the address that is
    printed. No model is run, and no file is written. Ctrl-C ends it.
    """
    import webbrowser

    from nhle_onnx.release.viewer.documents import read_documents
    from nhle_onnx.release.viewer.pages import list_pages
    from nhle_onnx.release.viewer.server import PageServer

    documents = read_documents(reports or (Path(),))
    with PageServer(list_pages(documents), port) as server:
        click.echo(server.address)
        if opens:
            webbrowser.open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0
