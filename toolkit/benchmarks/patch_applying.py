"""The cost of applying a patch that changes every weight of a large model."""

import filecmp
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from rich.progress import track

from nhle_onnx.graph.update_rounding import round_update
from nhle_onnx.values.settings.patch import CreateSettings
from nhle_onnx.workflows.patch_create import create_patch
from studies.tables import Row

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
