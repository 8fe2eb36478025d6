"""nhle-onnx sign and check-signature."""

from pathlib import Path
from typing import Any, Literal

import click

from nhle_onnx.cli.config import configurable
from nhle_onnx.cli.isolation import isolated
from nhle_onnx.cli.kinds import FilePath
from nhle_onnx.cli.options import JSON

_PATH = FilePath(path_type=Path)
_FILES = click.argument("paths", type=_PATH, nargs=-1, required=True, metavar="PATH...")


@click.command("sign")
@_FILES
@click.option("--key", type=_PATH, required=True, help="The private key to sign with, PEM.")
@click.option("--certificate", type=_PATH, help="The certificate for the key, PEM.")
@click.option(
    "--chain",
    type=_PATH,
    multiple=True,
    help="Further certificates towards a root, PEM; repeat for several files.",
)
@click.option("-o", "--out", type=_PATH, help="The signature.  [default: first PATH + .sig]")
@click.option("--force", is_flag=True, help="Replace an existing signature.")
@JSON
@isolated
@configurable
def sign_command(paths: tuple[Path, ...], **values: Any) -> None:
    """Sign a model, its patch and its report together, as files of one folder.

    Files that hold a model's weights are found and signed with it. The password of an encrypted key
    is read from the variable NHLE_ONNX_KEY_PASSWORD.
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


@click.command("check-signature")
@_FILES
@click.option("--key", type=_PATH, help="The signer's public key, PEM.")
@click.option(
    "--chain",
    type=_PATH,
    multiple=True,
    help="Certificates to trust, if the signer used a certificate, PEM; repeat for several files.",
)
@click.option("--signature", type=_PATH, help="The signature.  [default: first PATH + .sig]")
@click.option(
    "--partial", is_flag=True, help="Allow other files that were signed with these to be missing."
)
@JSON
@isolated
@configurable
def check_signature_command(paths: tuple[Path, ...], **values: Any) -> None:
    """Check that files are unchanged since they were signed with a trusted key. Every file that the
    signature covers must exist, and it must cover every PATH.
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
