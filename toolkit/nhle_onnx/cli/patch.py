"""nhle-onnx patch."""

from pathlib import Path
from typing import Any

import click

from nhle_onnx.cli.isolation import isolated
from nhle_onnx.cli.options import JSON, options_of
from nhle_onnx.values.settings.model import ModelFlags

_PATH = click.Path(path_type=Path)
_OUT = click.option("-o", "--out", type=_PATH, required=True, help="Where the result goes.")
_FORCE = click.option("--force", is_flag=True, help="Replace outputs that exist.")
_QUIET = click.option("-q", "--quiet", is_flag=True, help="No output but errors.")


@click.group("patch")
def patch_command() -> None:
    """Ship an edited model as a small file that holds none of the values it replaces."""


@patch_command.command("create")
@click.argument("base", type=_PATH)
@click.argument("edited", type=_PATH)
@_OUT
@click.option("--report", type=_PATH, help="The report of `unlearn`.  [default: beside EDITED]")
@click.option(
    "--no-deltas",
    is_flag=True,
    help="Hold new values only: larger, but nobody who has EDITED gets BASE back from it.",
)
@options_of(ModelFlags, names=("max_elements",))
@_FORCE
@_QUIET
@JSON
@isolated
def create_command(base: Path, edited: Path, **values: Any) -> None:
    """Write what makes EDITED of BASE."""
    from nhle_onnx.workflows.patch_create import CreateSettings, create_patch

    container = create_patch(
        CreateSettings(
            base=base,
            edited=edited,
            out=values["out"],
            report=values["report"],
            deltas=not values["no_deltas"],
            max_elements=values["max_elements"],
            force=values["force"],
        )
    )
    _show(container, values)


@patch_command.command("apply")
@click.argument("base", type=_PATH)
@click.argument("patch", type=_PATH)
@_OUT
@click.option(
    "--require-signature",
    "trusted",
    metavar="KEY",
    type=_PATH,
    help="Refuse a patch that was not signed with this public key's private one.",
)
@click.option("--signature", type=_PATH, help="The signature.  [default: PATCH + .sig]")
@click.option("--also", type=click.Choice(["ort"]), help="Write the .ort file of the result, too.")
@_FORCE
@_QUIET
@JSON
@isolated
def apply_command(base: Path, patch: Path, **values: Any) -> None:
    """Make the edited model of BASE; nothing is written unless it is that, byte for byte."""
    from nhle_onnx.errors import UsageError
    from nhle_onnx.workflows.patch_apply import ApplySettings, apply_patch_file

    if values["signature"] and not values["trusted"]:
        reason = "--signature proves nothing without a key"
        raise UsageError(reason, remedy="Give --require-signature KEY.")
    settings = ApplySettings(
        base=base,
        patch=patch,
        out=values["out"],
        trusted=values["trusted"],
        signature=values["signature"],
        also_ort=values["also"] == "ort",
        force=values["force"],
    )
    _show(apply_patch_file(settings), values)


@patch_command.command("inspect")
@click.argument("patch", type=_PATH)
@JSON
@isolated
def inspect_patch_command(patch: Path, **values: Any) -> None:
    """Show what PATCH is for, and what it changes."""
    from nhle_onnx.release.patch.container import open_patch

    _show(open_patch(patch), values | {"quiet": False})


def _show(container: Any, values: dict[str, Any]) -> None:
    import json

    from nhle_onnx.cli.show import show_line
    from nhle_onnx.workflows.patch_apply import describe_patch

    document = describe_patch(container)
    if values["as_json"]:
        click.echo(json.dumps(document, indent=2))
        return
    if values["quiet"]:
        return
    patch, result = document["patch"], document["result"]
    total = sum(file["size_bytes"] for file in result)
    share = patch["size_bytes"] / total
    show_line("patch", f"{patch['path']} ({patch['size_bytes']:,} bytes, {share:.1%} of the model)")
    for role in ("base", "result"):
        for file in document[role]:
            show_line(role, f"{file['name']} {file['sha256']}")
    if document["forget"]:
        show_line("forget", ", ".join(map(str, document["forget"])))
    tensors = document["tensors"]
    whole = sum(tensor["rows"] == "all" for tensor in tensors)
    show_line("tensors", f"{len(tensors)} changed, {whole} of them in every row")
    if values.get("out"):
        show_line("written", str(values["out"]))
