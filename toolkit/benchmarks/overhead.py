"""The cost of `unlearn` compared with the bare work that no tool could avoid."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
from rich.progress import track

from benchmarks.speed.cost import BARE_WORK
from studies.results import ROOT, write_results
from studies.tables import make_table

LIMIT = 3.0
MODEL = ROOT / "models" / "mobilenetv3_small_fashion_mnist" / "model.onnx"
CONSTRUCTOR, SIDE = "mobilenet_v3_small", "32"


@click.command()
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True)
def overhead(runs: int) -> None:
    """Time the whole command and the bare work, alternating, and compare medians."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "edited.onnx"
        ours = [sys.executable, "-m", "nhle_onnx", "unlearn", str(MODEL), "--forget", "3"]
        ours += ["--force", "--out", str(out)]
        measure_seconds(ours)  # a warm-up, which also tells the number of steps
        report = json.loads(out.with_suffix(".report.json").read_text("utf-8"))
        steps = report["method"]["steps_run"]
        batch = report["samples"]["forget"] + report["samples"]["anchors"]
        bare = [
            sys.executable,
            "-c",
            BARE_WORK,
            str(MODEL),
            CONSTRUCTOR,
            SIDE,
            str(steps),
            str(batch),
        ]
        pairs = [
            (measure_seconds(ours), measure_seconds(bare))
            for _ in track(range(runs), description="timing")
        ]
    rows = [
        {"run": index, "unlearn s": ours_s, "bare work s": bare_s, "ratio": ours_s / bare_s}
        for index, (ours_s, bare_s) in enumerate(pairs, start=1)
    ]
    ratio = statistics.median(row["ratio"] for row in rows)
    body = (
        "The whole of `unlearn --forget 3` on MobileNetV3-Small, as a process, against a process "
        f"that imports torch, builds two ONNX Runtime sessions, and takes the same {steps} Adam "
        f"steps on the original `nn.Module` with batches of the same {batch} images. Both "
        "alternate, after a warm-up.\n\n"
        f"{make_table(rows)}\n\n"
        f"Median ratio {ratio:.2f}; the limit is {LIMIT:.1f}."
    )
    write_results("overhead", "Overhead of the whole command", body, rows)
    click.echo(make_table(rows))
    click.echo(f"median ratio {ratio:.2f} (limit {LIMIT:.1f})")


def measure_seconds(command: list[str]) -> float:
    """Measure the wall-clock seconds of a process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start
