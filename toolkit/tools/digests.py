"""Digests of the program's outputs, which must not change in a refactoring.

`python -m tools digests > before.txt`, and again afterwards, on the same machine.
"""

import contextlib
import hashlib
import io
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import click

from nhle_onnx.cli.main import run
from nhle_onnx.values.exit_codes import EXIT_CODES

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "calibration_samples" / "fashion_mnist" / "evaluation.npz"
CLASSES = ("0", "3", "6")


@click.command()
def digests() -> None:
    """Print digests of each edited model, and of the patch and kit of its last class."""
    with tempfile.TemporaryDirectory() as name:
        for folder in sorted((ROOT / "models").glob("*_fashion_mnist/model.onnx")):
            for forgotten in CLASSES:
                out = Path(name) / f"{folder.parent.name}.{forgotten}.onnx"
                call("unlearn", folder, "--forget", forgotten, "--out", out)
                click.echo(f"{digest(out.read_bytes())} {out.name}")
            for line in list_shipped(folder, out):
                click.echo(line)


def list_shipped(model: Path, edited: Path) -> Iterator[str]:
    """List digests of an edited model's patch, and of each file in its kit."""
    patch, kit = edited.with_suffix(".nhlepatch"), edited.with_suffix(".zip")
    # a patch has the digest of the report beside the model, and that has seconds in it
    edited.with_suffix(".report.json").unlink()
    call("patch", "create", model, edited, "-o", patch)
    yield f"{digest(patch.read_bytes())} {patch.name}"
    beside = [
        part
        for flag, file in (("--labels", "labels.txt"), ("--preprocess", "preprocessor_config.json"))
        for part in (flag, model.with_name(file))
    ]
    call("kit", edited, "--forget", CLASSES[-1], "--data", DATA, *beside, "-o", kit)
    with zipfile.ZipFile(kit) as archive:
        for name in sorted(archive.namelist()):
            yield f"{digest(archive.read(name))} {kit.name}/{name}"


def call(*arguments: object) -> None:
    """Run a command, whatever its verdict; only its outputs matter."""
    with contextlib.redirect_stdout(io.StringIO()):
        code = run([*map(str, arguments), "--quiet"])
    if code not in EXIT_CODES.values():
        message = f"{arguments} ended with {code}"
        raise SystemExit(message)


def digest(content: bytes) -> str:
    """Return the first digits of a SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]
