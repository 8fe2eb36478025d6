"""nhle-onnx sign and check-signature."""

from pathlib import Path
from typing import Any, Literal

import click

from nhle_onnx.cli.config import configurable
from nhle_onnx.cli.groups import GroupedCommand, grouped_option
from nhle_onnx.cli.isolation import isolated
from nhle_onnx.cli.kinds import FilePath
from nhle_onnx.cli.options import JSON
from nhle_onnx.values.settings.groups import Group

_PATH = FilePath(path_type=Path)
_FILES = click.argument("paths", type=_PATH, nargs=-1, required=True, metavar="PATH...")


@click.command(
    "sign",
    cls=GroupedCommand,
    example="nhle-onnx sign model.onnx m.nhlepatch --key signing.key",
)
@_FILES
@grouped_option(
    "--key",
    group=Group.SAFETY,
    type=_PATH,
    required=True,
    help="The private key to sign with, PEM.",
)
@grouped_option(
    "--certificate", group=Group.SAFETY, type=_PATH, help="The certificate for the key, PEM."
)
@grouped_option(
    "--chain",
    group=Group.SAFETY,
    type=_PATH,
    multiple=True,
    help="Further certificates towards a root, PEM; repeat for several files.",
)
@grouped_option(
    "-o",
    "--out",
    group=Group.OUTPUT,
    type=_PATH,
    otherwise="first PATH + .sig",
    help="The signature.",
)
@grouped_option("--force", group=Group.OUTPUT, is_flag=True, help="Replace an existing signature.")
@JSON
@isolated
@configurable
def sign_command(paths: tuple[Path, ...], **values: Any) -> None:
    """Sign a model, its patch and its report together.

    They are files of one folder. Files that hold a model's weights are found and signed with it.
    The password of an encrypted key is read from the variable NHLE_ONNX_KEY_PASSWORD.
    """
    import os

    from nhle_onnx.errors import UsageError
    from nhle_onnx.release.signature import name_signature, sign_files
    from nhle_onnx.values.signature import SigningKey

    if values["chain"] and not values["certificate"]:
        raise UsageError("--chain continues from a certificate", remedy="Give --certificate too.")
    signature = values["out"] or name_signature(paths)
    key = SigningKey(
        private_key=values["key"],
        password=os.environ.get("NHLE_ONNX_KEY_PASSWORD"),
        certificate=values["certificate"],
        chain=values["chain"],
    )
    files = sign_files(paths, signature, key, force=values["force"])
    _show(files, signature, "signed", as_json=values["as_json"])


@click.command(
    "check-signature",
    cls=GroupedCommand,
    example="nhle-onnx check-signature model.onnx --key signing.pub",
)
@_FILES
@grouped_option("--key", group=Group.SAFETY, type=_PATH, help="The signer's public key, PEM.")
@grouped_option(
    "--chain",
    group=Group.SAFETY,
    type=_PATH,
    multiple=True,
    help="Certificates to trust, if the signer used a certificate, PEM; repeat for several files.",
)
@grouped_option(
    "--signature",
    group=Group.SAFETY,
    type=_PATH,
    otherwise="first PATH + .sig",
    help="The signature.",
)
@grouped_option(
    "--partial",
    group=Group.SAFETY,
    is_flag=True,
    help="Allow other files that were signed with these to be missing.",
)
@JSON
@isolated
@configurable
def check_signature_command(paths: tuple[Path, ...], **values: Any) -> None:
    """Check that files are unchanged since they were signed.

    The key must be one that you trust. Every file that the signature covers must exist, and it
    must cover every PATH.
    """
    from nhle_onnx.errors import UsageError
    from nhle_onnx.release.signature import check_signature, name_signature
    from nhle_onnx.values.signature import TrustedKey

    if bool(values["key"]) is bool(values["chain"]):
        raise UsageError(
            "give either a public key or certificates to trust",
            remedy="Give --key PUBLIC.pem or --chain ROOT.pem.",
        )
    signature = values["signature"] or name_signature(paths)
    trusted = TrustedKey(public_key=values["key"], chain=values["chain"])
    files = check_signature(paths, signature, trusted, is_whole=not values["partial"])
    _show(files, signature, "intact", as_json=values["as_json"])


def _show(
    files: tuple[Any, ...], signature: Path, state: Literal["signed", "intact"], *, as_json: bool
) -> None:
    from nhle_onnx.cli.show import show_line
    from nhle_onnx.release.report import render_json
    from nhle_onnx.values.signature import SignatureReport
    from nhle_onnx.workflows.classifier import TOOL

    if as_json:
        report = SignatureReport(tool=TOOL, signature=str(signature), state=state, files=files)
        click.echo(render_json(report), nl=False)
        return
    for file in files:
        show_line(state, file.name)
    show_line("by", str(signature))
