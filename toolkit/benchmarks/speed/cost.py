"""`unlearn` compared with the bare work that no tool could avoid: time and memory."""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.speed.rows import (
    ONE_THREAD,
    make_row,
    measure_in_turn,
    measure_peak,
    take_median_ratio,
    time_command,
)  # fmt: skip
from benchmarks.speed.subjects import Network, build_network, copy_samples, export_network
from studies.tables import Row

TIME_LIMIT, MEMORY_LIMIT = 3.0, 3.0
_CODES = (0, 1)  # random weights have nothing to forget, so a gate fails
_MIB = 2**20

# The bare work: import torch, build two sessions, take the same steps on the original network.
BARE_WORK = """
import sys
import architectures
import onnxruntime
import torch

path, constructor, side, steps, batch = sys.argv[1:3] + [int(item) for item in sys.argv[3:]]
sessions = [onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]) for _ in "12"]
network = getattr(architectures, constructor)().eval()
images = torch.randn(batch, 3, side, side)
labels = torch.arange(batch) % 10
optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
for _ in range(steps):
    loss = torch.nn.functional.cross_entropy(network(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def measure_cost(network: Network, folder: Path, steps: int, rounds: int) -> list[Row]:
    """Measure the command relative to the bare work, and its memory to weights and activations."""
    model = export_network(network, folder / network.constructor)
    samples = copy_samples(folder / f"{network.constructor}_samples")
    out = folder / f"{network.constructor}.onnx"
    arguments = ["unlearn", str(model), "--forget", "3", "--samples", str(samples), "--quiet"]
    arguments += ["--steps", str(steps), "--out", str(out), "--force", "--force-unknown"]
    ours = [sys.executable, "-m", "nhle_onnx", *arguments]
    time_command(ours, ONE_THREAD, _CODES)
    report = json.loads(out.with_suffix(".report.json").read_text("utf-8"))
    batch = report["samples"]["forget"] + report["samples"]["anchors"]
    numbers = map(str, (network.side, report["method"]["steps_run"], batch))
    bare = [sys.executable, "-c", BARE_WORK, str(model), network.constructor, *numbers]
    found = measure_in_turn(
        {
            "ours": lambda: time_command(ours, ONE_THREAD, _CODES),
            "bare": lambda: time_command(bare, ONE_THREAD),
        },
        rounds,
    )
    held = measure_peak([*arguments], beyond_imports=True)
    images = torch.randn(batch, 3, network.side, network.side)
    needed = measure_step_memory(build_network(network), images)
    return [
        make_row(
            f"`unlearn --steps {steps}` of {network.title}, relative to bare steps",
            statistics.median(found["ours"]), statistics.median(found["bare"]), "s",
            take_median_ratio(found["ours"], found["bare"]), TIME_LIMIT,
        ),
        make_row(
            f"`unlearn` of {network.title}, peak memory relative to weights and activations",
            held, needed, "MiB", held / needed, MEMORY_LIMIT,
        ),
    ]  # fmt: skip


def measure_step_memory(module: nn.Module, images: torch.Tensor) -> float:
    """Return the MiB of a module's parameters and of activations kept for the backward pass."""
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> Any:  # noqa: ANN401 - torch hands back what it is given
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    parameters = {item.untyped_storage().data_ptr() for item in module.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = module(images)
    activations = sum(size for place, size in kept.items() if place not in parameters)
    weights = sum(item.numel() * item.element_size() for item in module.parameters())
    del outputs
    return (weights + activations) / _MIB
