"""The cost of a training step of a lowered network compared with the original's: time and memory.

As a program, `python -m benchmarks.step_cost KIND FORMAT FOLDER`, it measures one module's memory.
"""

import ctypes
import gc
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import click
import torch
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional

from architectures.examples import export_example, make_example
from nhle_onnx.graph.load import load_model
from nhle_onnx.lowering.module import lower_model
from studies.results import write_results
from studies.tables import make_table, write_met

NETWORK = "mobilenetv3-large"
BATCH, SIDE = 32, 64
TIME_LIMIT, MEMORY_LIMIT = 1.10, 1.15
ORIGINAL = "original"
LOWERED = {"folded": "batch norm folded", "kept": "batch norm kept"}
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
WARM_UP = 3


@click.command("step-cost")
@click.option("--runs", type=click.IntRange(15), default=21, show_default=True)
@click.option("--processes", type=click.IntRange(1), default=3, show_default=True)
def step_cost(runs: int, processes: int) -> None:
    """Time steps of the lowered and of the original MobileNetV3-Large; then measure memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export_both(folder)
        seconds = {
            layout: time_in_turn(folder, layout, runs)
            for layout in track(FORMATS, description="timing")
        }
        cases = list(product((ORIGINAL, *LOWERED), FORMATS, range(processes)))
        peaks: dict[tuple[str, str], list[float]] = {}
        for kind, layout, _ in track(cases, description="measuring memory"):
            peaks.setdefault((kind, layout), []).append(run_alone(kind, layout, folder))
    rows = [
        make_row(kind, layout, seconds[layout], peaks) for kind in LOWERED for layout in FORMATS
    ]
    table = make_table(rows)
    write_results("step_cost", "Cost of a training step", describe(table, runs, processes), rows)
    click.echo(table)
    click.echo(f"limits: time {TIME_LIMIT:.2f}, memory {MEMORY_LIMIT:.2f}")


def export_both(folder: Path) -> None:
    """Write `folded.onnx` as exporters do, and `kept.onnx` with its batch normalisations."""
    network = make_example(NETWORK)
    images, _ = make_batch(torch.contiguous_format)
    export_example(network, images, "legacy-17", folder / "folded.onnx")
    torch.onnx.export(
        network, (images,), folder / "kept.onnx", dynamo=False, opset_version=17,
        training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
        input_names=["image"], output_names=["logits"], dynamic_axes={"image": {0: "batch"}},
    )  # fmt: skip


def make_batch(memory_format: torch.memory_format) -> tuple[Tensor, Tensor]:
    """Make images [N, 3, H, W] and labels [N]."""
    images = torch.randn(BATCH, 3, SIDE, SIDE).contiguous(memory_format=memory_format)
    return images, torch.arange(BATCH) % 10


def make_step(kind: str, layout: str, folder: Path) -> Callable[[], None]:
    """Make a function that takes one optimizer step of a module on one batch."""
    module: nn.Module = (
        make_example(NETWORK)
        if kind == ORIGINAL
        else lower_model(
            load_model(folder / f"{kind}.onnx"), source="image", output="logits"
        ).module
    )
    module.to(memory_format=FORMATS[layout])  # type: ignore[call-overload]
    images, labels = make_batch(FORMATS[layout])
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-6)

    def step() -> None:
        loss = functional.cross_entropy(module(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def time_in_turn(folder: Path, layout: str, runs: int) -> dict[str, list[float]]:
    """Return the seconds of each module's steps, in a new order every round."""
    steps = {kind: make_step(kind, layout, folder) for kind in (ORIGINAL, *LOWERED)}
    seconds: dict[str, list[float]] = {kind: [] for kind in steps}
    order = list(steps)
    shuffle = random.Random(0).shuffle  # noqa: S311 - an order, no secret
    for index in range(WARM_UP + runs):
        shuffle(order)
        for kind in order:
            start = time.perf_counter()
            steps[kind]()
            if index >= WARM_UP:
                seconds[kind].append(time.perf_counter() - start)
    return seconds


def run_alone(kind: str, layout: str, folder: Path) -> float:
    """Return what `measure_peak` finds in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.step_cost", kind, layout, str(folder)]
    result = subprocess.run(command, check=True, capture_output=True)
    added: float = json.loads(result.stdout)
    return added


def measure_peak(kind: str, layout: str, folder: Path) -> float:
    """Measure the MiB that steps add, at their peak, to a process with the module. Linux only."""
    step = make_step(kind, layout, folder)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak starts from here
    baseline = read_status("VmRSS")
    for _ in range(WARM_UP):
        step()
    return read_status("VmHWM") - baseline


def read_status(key: str) -> float:
    """Read one of the kernel's figures about this process, in MiB."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))


def make_row(
    kind: str,
    layout: str,
    seconds: dict[str, list[float]],
    peaks: dict[tuple[str, str], list[float]],
) -> dict[str, Any]:
    """Make a row for one lowered module in one memory format."""
    pairs = zip(seconds[kind], seconds[ORIGINAL], strict=True)
    ratio = statistics.median(ours / original for ours, original in pairs)
    original, lowered = (statistics.median(peaks[name, layout]) for name in (ORIGINAL, kind))
    is_met = ratio <= TIME_LIMIT and lowered / original <= MEMORY_LIMIT
    return {
        "export": LOWERED[kind],
        "memory format": layout,
        "original s": statistics.median(seconds[ORIGINAL]),
        "lowered s": statistics.median(seconds[kind]),
        "time ratio": ratio,
        "original MiB": round(original, 1),
        "lowered MiB": round(lowered, 1),
        "memory ratio": lowered / original,
        "met": write_met(met=is_met),
    }


def describe(table: str, runs: int, processes: int) -> str:
    """Return the page's text."""
    return (
        "One step (forward, cross-entropy, backward, SGD) of the lowered MobileNetV3-Large and of "
        f"the original `nn.Module` in inference mode, on the same {BATCH} images of {SIDE}x{SIDE}. "
        f"{runs} rounds after {WARM_UP} to warm up, each module once a round, in another order "
        "every round; the median of the rounds' ratios. "
        f"Memory: what {WARM_UP} steps add, at their peak, to the resident set of a process with "
        f"the module, median of {processes} processes for each module.\n\nExporters fold batch "
        "normalisation into the convolutions, which reduces computation and memory; the second "
        "export keeps it (`training=PRESERVE`, no constant folding), so that both train the same "
        f"tensors.\n\n{table}\n\nLimits: time {TIME_LIMIT:.2f}, memory {MEMORY_LIMIT:.2f}."
    )


if __name__ == "__main__":
    json.dump(measure_peak(sys.argv[1], sys.argv[2], Path(sys.argv[3])), sys.stdout)
