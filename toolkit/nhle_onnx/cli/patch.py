"""nhle-onnx patch."""

from pathlib import Path
from typing import Any

import click

from nhle_onnx.cli.config import configurable
from nhle_onnx.cli.groups import CommandGroup, grouped_option
from nhle_onnx.cli.isolation import isolated
from nhle_onnx.cli.kinds import FilePath
from nhle_onnx.cli.options import JSON, options_of
from nhle_onnx.text import format_percent
from nhle_onnx.values.settings.groups import Group
from nhle_onnx.values.settings.option import make_settings
from nhle_onnx.values.settings.patch import ApplySettings, CreateSettings

_PATH = FilePath(path_type=Path)
_QUIET = grouped_option("-q", "--quiet", group=Group.OUTPUT, is_flag=True, help="Show errors only.")


@click.group(
    "patch",
    cls=CommandGroup,
    example="nhle-onnx patch create model.onnx new.onnx -o m.nhlepatch",
)
def patch_command() -> None:
    """Ship an edited model as a small file.

    A patch makes the exact edited model from the original. It contains no value that it replaces.
    """


@patch_command.command(
    "create", example="nhle-onnx patch create model.onnx new.onnx -o m.nhlepatch"
)
@click.argument("base", type=_PATH)
@click.argument("edited", type=_PATH)
@options_of(CreateSettings)
@_QUIET
@JSON
@isolated
@configurable
def create_command(base: Path, edited: Path, **values: Any) -> None:
    """Write a patch from BASE to EDITED."""
    from nhle_onnx.workflows.patch_create import create_patch

    settings = make_settings(CreateSettings, values, base=base, edited=edited)
    _show(create_patch(settings), values)


@patch_command.command("apply", example="nhle-onnx patch apply model.onnx m.nhlepatch -o new.onnx")
@click.argument("base", type=_PATH)
@click.argument("patch", type=_PATH)
@options_of(ApplySettings)
@_QUIET
@JSON
@isolated
@configurable
def apply_command(base: Path, patch: Path, **values: Any) -> None:
    """Make the edited model from BASE and PATCH.

    Nothing is written unless every byte is right.
    """
    from nhle_onnx.errors import UsageError
    from nhle_onnx.workflows.patch_apply import apply_patch_file

    if values["signature"] and not values["trusted"]:
        reason = "--signature proves nothing without a key"
        raise UsageError(reason, remedy="Give --require-signature KEY.")
    settings = make_settings(ApplySettings, values, base=base, patch=patch)
    _show(apply_patch_file(settings), values)


@patch_command.command("inspect", example="nhle-onnx patch inspect m.nhlepatch")
@click.argument("patch", type=_PATH)
@JSON
@isolated
@configurable
def inspect_patch_command(patch: Path, **values: Any) -> None:
    """Show which model PATCH is for, and what it changes."""
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
    share = f"{format_percent(patch['size_bytes'] / total, 1)} of the model"
    show_line("patch", f"{patch['path']} ({patch['size_bytes']:,} bytes, {share})")
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
