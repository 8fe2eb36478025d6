"""The size of patches, compared with general tools."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from nhle_onnx.release.patch.container import open_patch
from nhle_onnx.values.settings.patch import CreateSettings
from nhle_onnx.workflows.patch_create import create_patch
from studies.results import ROOT
from studies.tables import Row

MODELS = {
    "float32": ROOT / "models" / "mobilenetv3_small_fashion_mnist" / "model.onnx",
    "INT8": ROOT / "models" / "mobilenetv3_small_int8_fashion_mnist" / "model.onnx",
}
EDITS: Mapping[str, tuple[str, ...]] = {
    "head": ("--method", "cwm"),
    "last-stage": ("--scope", "last-stage"),
    "features": ("--scope", "features"),
    "all": ("--scope", "all"),
}
FORGOTTEN = 3


def measure_size(folder: Path, kind: str, edit: str) -> Row:
    """Measure one edit of a model, and its patch by each tool."""
    base, edited = MODELS[kind], folder / "edited.onnx"
    command = ["unlearn", base, "--forget", FORGOTTEN, "--out", edited, "--force", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "nhle_onnx", *map(str, command), *EDITS[edit], "--quiet"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    report = json.loads(done.stdout)
    ours = pack(folder, base, edited, deltas=True)
    measured = {tool: measure(folder, base, edited) for tool, measure in OTHERS.items()}
    others = [size for size in measured.values() if size is not None]
    header = measure_header(folder / "ours.nhlepatch")
    return {
        "part": "sizes",
        "model": kind,
        "edit": edit,
        "Acc_F": report["after"]["acc_f"],
        "unmasked": report["unmasked"]["acc_f"],
        "ΔAcc_R": report["delta_acc_r"],
        "model bytes": edited.stat().st_size,
        "nhle-onnx": ours,
        **measured,
        "header": header,
        "no deltas": pack(folder, base, edited, deltas=False),
        "of the model": ours / edited.stat().st_size,
        "to the best other": ours / min(others) if others else None,
        "without header": (ours - header) / min(others) if others else None,
    }


def pack(folder: Path, base: Path, edited: Path, *, deltas: bool) -> int:
    """Return our patch's bytes."""
    out = folder / ("ours.nhlepatch" if deltas else "whole.nhlepatch")
    create_patch(
        CreateSettings(base=base, edited=edited, out=out, no_deltas=not deltas, force=True)
    )
    return out.stat().st_size


def measure_header(patch: Path) -> int:
    """Count the bytes of digests, names and offsets, which other tools do not store."""
    container = open_patch(patch)
    held = sum(span.end - span.start for span in container.streams.values())
    return container.size_bytes - held


def run_bsdiff(folder: Path, base: Path, edited: Path) -> int | None:
    """Count the bytes of a bsdiff4 patch, if the package is installed."""
    del folder
    if find_spec("bsdiff4") is None:
        return None
    bsdiff4 = import_module("bsdiff4")
    return len(bsdiff4.diff(base.read_bytes(), edited.read_bytes()))


def run_xdelta(folder: Path, base: Path, edited: Path) -> int | None:
    """Count the bytes of an xdelta3 patch, if the program is installed."""
    flags = ("-f", "-9", "-S", "lzma", "-e", "-s", base, edited)
    return _run(folder, "xdelta3", flags, ())


def run_zstd(folder: Path, base: Path, edited: Path) -> int | None:
    """Count the bytes of a zstd patch, if the program is installed."""
    flags = ("-q", "-f", "-19", "--ultra", "--long=27", "--patch-from", base, edited)
    return _run(folder, "zstd", flags, ("-o",))


def _run(
    folder: Path, program: str, flags: tuple[object, ...], before: tuple[str, ...]
) -> int | None:
    if shutil.which(program) is None:
        return None
    out = folder / f"other.{program}"
    command = [program, *map(str, flags), *before, str(out)]
    subprocess.run(command, check=True, capture_output=True)
    return out.stat().st_size


OTHERS: Mapping[str, Callable[[Path, Path, Path], int | None]] = {
    "bsdiff4": run_bsdiff,
    "xdelta3 -9 -S lzma": run_xdelta,
    "zstd -19 --patch-from": run_zstd,
}
