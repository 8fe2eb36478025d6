"""Runs of the program, and what they leave."""

import contextlib
import io
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from nhle_onnx.cli.main import run
from nhle_onnx.values.settings.patch import ApplySettings, CreateSettings
from nhle_onnx.workflows.patch_apply import apply_patch_file
from nhle_onnx.workflows.patch_create import create_patch

LARGEST_PATCHED_BYTES = 2**22  # others take seconds to compress, and are tested on their own

# A shell's background job ignores interrupts, and so would what it starts.
_INTERRUPTIBLE = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "os.execv(sys.executable, [sys.executable, '-m', 'nhle_onnx', *sys.argv[1:]])"
)


class Result(NamedTuple):
    """What a run of the program left."""

    code: int
    out: str
    err: str


Nhle = Callable[..., Result]


class Unlearned(NamedTuple):
    """An original, its edited file and report, and what the command printed."""

    original: Path
    edited: Path
    report: dict[str, Any]
    shown: str


def make_interruptible(*arguments: object) -> list[str]:
    """The command of a process of its own that heeds SIGINT."""
    return [sys.executable, "-c", _INTERRUPTIBLE, *map(str, arguments)]


def unlearn(model: Path, out: Path, *flags: str) -> Unlearned:
    """Run `unlearn` and read its report."""
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        run(["unlearn", str(model), "--out", str(out), "--quiet", *flags])
    report = json.loads(out.with_suffix(".report.json").read_text("utf-8"))
    if out.stat().st_size < LARGEST_PATCHED_BYTES:
        assert_patched(model, out)
    return Unlearned(model, out, report, shown.getvalue())


def assert_patched(base: Path, edited: Path) -> None:
    """Whatever the tool edits, a patch gives it back byte for byte."""
    with tempfile.TemporaryDirectory() as name:
        patch, made = Path(name) / "p.nhlepatch", Path(name) / edited.name
        create_patch(CreateSettings(base=base, edited=edited, out=patch))
        container = apply_patch_file(ApplySettings(base=base, patch=patch, out=made))
        for file in container.manifest.result:
            assert (
                made.with_name(file.name).read_bytes() == edited.with_name(file.name).read_bytes()
            )
