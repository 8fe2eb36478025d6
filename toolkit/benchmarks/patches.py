"""The size of patches compared with general tools, and the cost of applying one."""

import filecmp
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import click
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from rich.progress import track

from nhle_onnx.graph.update_rounding import round_update
from nhle_onnx.release.patch.container import open_patch
from nhle_onnx.values.settings.patch import CreateSettings
from nhle_onnx.workflows.patch_create import create_patch
from studies.results import ROOT, read_rows, write_results
from studies.tables import Row, make_table

NAME = "patches"
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
SIZE_LIMIT, STAGE_LIMIT, TIME_LIMIT = 1.05, 0.15, 2.0
LAYERS, WIDTH = 8, 4096  # of the generated model: 64 MiB each
UPDATE = 0.01  # of a weight, as training moves it
SPARE_BYTES = 64 * 2**20

# Prints the process's peak resident memory; getrusage gives its parent's, if that is larger.
APPLY = """
import sys
from pathlib import Path
from nhle_onnx.workflows.patch_apply import apply_patch_file
from nhle_onnx.values.settings.patch import ApplySettings
base, patch, out = map(Path, sys.argv[1:])
apply_patch_file(ApplySettings(base=base, patch=patch, out=out))
lines = Path("/proc/self/status").read_text().splitlines()
print(next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")))
"""
# The baseline: work that cannot be avoided.
COPY = """
import hashlib, os, shutil, sys
shutil.copyfile(sys.argv[1], sys.argv[2])
with open(sys.argv[2], "rb") as file:
    os.fsync(file.fileno())
    print(hashlib.file_digest(file, "sha256").hexdigest())
"""


@click.command(NAME)
@click.option("--only", type=click.Choice(["sizes", "apply"]), help="[default: both]")
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True)
def patches(only: str | None, runs: int) -> None:
    """Measure patches of MobileNetV3-Small, and applying one to a model of 512 MiB."""
    rows = [row for row in read_rows(NAME) if only and row["part"] != only]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if only != "apply":
            cases = list(product(MODELS, EDITS))
            rows += [measure_size(folder, *case) for case in track(cases, description="sizes")]
        if only != "sizes":
            rows += measure_applying(folder, runs)
    publish(rows)


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
    measured = {tool: measure(folder, base, edited) for tool, measure in PEERS.items()}
    peers = [size for size in measured.values() if size is not None]
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
        "to the best peer": ours / min(peers) if peers else None,
        "without header": (ours - header) / min(peers) if peers else None,
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
    out = folder / f"peer.{program}"
    command = [program, *map(str, flags), *before, str(out)]
    subprocess.run(command, check=True, capture_output=True)
    return out.stat().st_size


PEERS: Mapping[str, Callable[[Path, Path, Path], int | None]] = {
    "bsdiff4": run_bsdiff,
    "xdelta3 -9 -S lzma": run_xdelta,
    "zstd -19 --patch-from": run_zstd,
}


def measure_applying(folder: Path, runs: int) -> list[Row]:
    """Measure applying a patch that changes every weight, alternating with copying and hashing."""
    base, edited, patch = (folder / name for name in ("base.onnx", "edited.onnx", "p.nhlepatch"))
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(WIDTH, WIDTH)).astype(np.float32) for _ in range(LAYERS)]
    write_model(base, weights)
    moved = [weight + np.float32(UPDATE) * np.roll(weight, 1) for weight in weights]
    write_model(edited, [round_update(*pair) for pair in zip(weights, moved, strict=True)])
    largest = weights[0].nbytes
    del weights, moved
    create_patch(CreateSettings(base=base, edited=edited, out=patch))
    out = folder / "out.onnx"
    rows: list[Row] = []
    for run in track(range(runs), description="applying"):
        copied = run_process(COPY, edited, out)
        out.unlink()  # so that both write a new file, into memory that was just freed
        applied = run_process(APPLY, base, patch, out)
        is_right = filecmp.cmp(edited, out, shallow=False)
        out.unlink()
        if not is_right:
            message = "the patch does not produce the edited model"
            raise RuntimeError(message)
        rows.append(
            {
                "part": "apply",
                "run": run + 1,
                "model bytes": base.stat().st_size,
                "patch bytes": patch.stat().st_size,
                "copy and hash s": copied[0],
                "apply s": applied[0],
                "ratio": applied[0] / copied[0],
                "memory bytes": int(applied[1]),
                "memory limit": int(1.5 * largest) + SPARE_BYTES,
            }
        )
    return rows


def write_model(path: Path, weights: list[np.ndarray]) -> None:
    """Write a model of a chain of square layers."""
    names = [f"w{index}" for index in range(len(weights))]
    values = ["x", *(f"h{index}" for index in range(len(weights)))]
    nodes = [
        helper.make_node("MatMul", [values[index], name], [values[index + 1]])
        for index, name in enumerate(names)
    ]
    make = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "layers",
        [make("x", TensorProto.FLOAT, ["batch", WIDTH])],
        [make(values[-1], TensorProto.FLOAT, ["batch", WIDTH])],
        [numpy_helper.from_array(*pair) for pair in zip(weights, names, strict=True)],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)


def run_process(script: str, *arguments: Path) -> tuple[float, str]:
    """Return the seconds of a process, and its output."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True, text=True, check=True, env=os.environ,
    )  # fmt: skip
    return time.perf_counter() - start, done.stdout.strip()


def publish(rows: list[Row]) -> None:
    """Write the page."""
    body = "\n\n".join(
        part
        for part in (describe_sizes(_pick(rows, "sizes")), describe_applying(_pick(rows, "apply")))
        if part
    )
    write_results(NAME, "Patches", body, rows)
    click.echo(body)


def _pick(rows: list[Row], part: str) -> list[Row]:
    return [
        {key: value for key, value in row.items() if key != "part"}
        for row in rows
        if row["part"] == part
    ]


def describe_sizes(rows: list[Row]) -> str:
    """Describe sizes, and whether the limits hold."""
    if not rows:
        return ""
    shown = [
        {key: "not installed" if value is None else value for key, value in row.items()}
        for row in rows
    ]
    compared = [row for row in rows if row["to the best peer"] is not None]
    within = sum(row["to the best peer"] <= SIZE_LIMIT for row in compared)
    stage = next(row for row in rows if (row["model"], row["edit"]) == ("float32", "last-stage"))
    return (
        "## Sizes\n\n"
        f"`unlearn --forget {FORGOTTEN}` on the shipped MobileNetV3-Small, in float32 and INT8, "
        "and the patch from the file as given to the edited one. Bytes; `header` is the part of "
        "ours for digests, names and offsets, which other tools do not store; `no deltas` "
        f"stores new values only.\n\n{make_table(shown)}\n\n"
        f"{within} of {len(compared)} patches are at most {SIZE_LIMIT} of the best other tool's. "
        "Where only the head changed, a patch's digests are larger than another tool's "
        "whole patch, which verifies nothing: SHA-256 of both files, of the tensors before and "
        "after, and of the report take 32 bytes each, without any names. "
        f"The patch of `--scope last-stage` is {stage['of the model']:.3f} of the float32 model "
        f"(limit {STAGE_LIMIT})."
    )


def describe_applying(rows: list[Row]) -> str:
    """Describe times and memory, and whether the limits hold."""
    if not rows:
        return ""
    ratio = statistics.median(row["ratio"] for row in rows)
    memory = max(row["memory bytes"] for row in rows)
    missed = (
        " The limit is missed: applying also reads and hashes the base, decompresses the patch "
        "and adds it up, which other cores hide only if they are free."
    )
    return (
        "## Applying\n\n"
        f"A generated model of {LAYERS} layers of {WIDTH} x {WIDTH}, in which every weight "
        "changes, in steps as `unlearn` takes them. The whole process that applies the patch "
        "alternates with one that copies the result and hashes the copy, each to a new file.\n\n"
        f"{make_table(rows)}\n\n"
        f"Median ratio {ratio:.2f} (limit {TIME_LIMIT:.1f}).{missed if ratio > TIME_LIMIT else ''} "
        f"The process, including Python, uses at most {memory:,} bytes, of "
        f"{rows[0]['memory limit']:,} allowed."
    )
