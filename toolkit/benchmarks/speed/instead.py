"""The whole command beside what users would do instead, on MobileNetV3-Small."""

import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from architectures import mobilenet_v3_small
from benchmarks.datasets import Dataset
from benchmarks.networks import NETWORKS, measure_statistics, prepare_inputs
from benchmarks.speed.rows import Row, make_row, measure_in_turn, take_median_ratio, time_command
from benchmarks.speed.subjects import SHIPPED
from mobilenetv3_small_fashion_mnist.recipe import RECIPE
from recipes.training import train

_FORGOTTEN = 3
_STEPS = 100  # of DELETE, as many as the comparison of methods allows it
_TIMED_IMAGES = 2048  # of one epoch's, from which the rest is reckoned

# DELETE on the original network, as whoever has its code would run it, and export it again.
_DELETE = """
import sys
import torch
from architectures import mobilenet_v3_small
from benchmarks.baselines.distillation import delete
from benchmarks.tasks import Task

none, labels = torch.empty(0, 3, 32, 32), torch.empty(0, dtype=torch.long)
images = torch.randn(16, 3, 32, 32)
task = Task(
    network=mobilenet_v3_small().eval(), num_classes=10, forgotten=(3,), forget=images,
    forget_labels=torch.full((16,), 3), anchors=none, retained=none, retained_labels=labels, seed=0,
)
network = delete(task, rate=1e-3, steps=int(sys.argv[1])).eval()
torch.onnx.export(network, (images,), sys.argv[2], dynamo=False, opset_version=17)
"""


def measure_alternatives(dataset: Dataset, folder: Path, rounds: int) -> list[Row]:
    """The command by DELETE, which needs the network's code; and by training it again."""
    ours = [sys.executable, "-m", "nhle_onnx", "unlearn", str(SHIPPED), "--force", "--quiet"]
    ours += ["--forget", str(_FORGOTTEN), "--out", str(folder / "instead.onnx")]
    peer = [sys.executable, "-c", _DELETE, str(_STEPS), str(folder / "delete.onnx")]
    found = measure_in_turn(
        {
            "ours": lambda: time_command(ours, codes=(0, 1)),
            "delete": lambda: time_command(peer),
            "retraining": lambda: _time_retraining(dataset),
        },
        rounds,
    )
    names = {
        "delete": f"{_STEPS} steps of DELETE on the original code, and export",
        "retraining": f"training again ({RECIPE.training.epochs} epochs; reckoned)",
    }
    return [
        make_row(
            f"`unlearn` of MobileNetV3-Small, by {name}",
            statistics.median(found["ours"]), statistics.median(found[key]), "s",
            take_median_ratio(found["ours"], found[key]), None,
        )
        for key, name in names.items()
    ]  # fmt: skip


def _time_retraining(dataset: Dataset) -> float:
    """Seconds of the recipe's loop without the class, from those of a part of an epoch."""
    kept = (dataset.train.labels != _FORGOTTEN).nonzero()[0]
    chosen = kept[:_TIMED_IMAGES]
    spec = NETWORKS["mobilenetv3-small"]
    inputs = prepare_inputs(dataset.train.images[chosen], spec, measure_statistics(dataset))
    start = time.perf_counter()
    train(
        mobilenet_v3_small(),
        inputs,
        torch.from_numpy(dataset.train.labels[chosen]),
        replace(RECIPE.training, epochs=1),
    )
    elapsed_s = time.perf_counter() - start
    return elapsed_s * len(kept) / len(chosen) * RECIPE.training.epochs
