"""The whole command compared with what users would do instead, on MobileNetV3-Small."""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch

from architectures import mobilenet_v3_small
from benchmarks.speed.rows import (
    ONE_THREAD,
    make_row,
    measure_in_turn,
    take_median_ratio,
    time_command,
)
from benchmarks.speed.subjects import SHIPPED
from mobilenetv3_small_fashion_mnist.recipe import RECIPE
from recipes.training import train
from studies.datasets import Dataset
from studies.networks import NETWORKS, measure_statistics, prepare_inputs
from studies.tables import Row

_FORGOTTEN = 3
_STEPS = 100  # of DELETE, as many as in the comparison of methods
_TIMED_IMAGES = 2048  # of one epoch, from which the total is calculated

# DELETE on a network, as someone with its code would run it, and a new export.
_DELETE = """
import sys
import torch
from studies.baselines.distillation import delete
from studies.tasks import Task

steps, out, file = int(sys.argv[1]), *sys.argv[2:]
{network}
none, labels = torch.empty(0, 3, 32, 32), torch.empty(0, dtype=torch.long)
images = torch.randn(16, 3, 32, 32)
task = Task(
    network=network.eval(), num_classes=10, forgotten=(3,), forget=images,
    forget_labels=torch.full((16,), 3), anchors=none, retained=none, retained_labels=labels, seed=0,
)
network = delete(task, rate=1e-3, steps=steps).eval()
torch.onnx.export(network, (images,), out, dynamo=False, opset_version=17)
"""
_ORIGINAL = """
from architectures import mobilenet_v3_small
network = mobilenet_v3_small()
"""
_CONVERTED = """
import onnx
from studies.converters import stub_torchvision
stub_torchvision()
from onnx2pytorch import ConvertModel
network = ConvertModel(onnx.load(file), experimental=True)  # which takes more than one image
"""


def measure_alternatives(dataset: Dataset, folder: Path, rounds: int) -> Iterator[Row]:
    """Measure the command relative to DELETE, on code or on a converted file, and to retraining."""
    ours = [sys.executable, "-m", "nhle_onnx", "unlearn", str(SHIPPED), "--force", "--quiet"]
    ours += ["--forget", str(_FORGOTTEN), "--out", str(folder / "instead.onnx")]
    names = {
        "original": f"{_STEPS} steps of DELETE on the original code, and export",
        "converted": f"{_STEPS} steps of DELETE on what onnx2pytorch makes of it, and export",
        "retraining": f"training again ({RECIPE.training.epochs} epochs; calculated)",
    }
    measures: dict[str, Callable[[], float]] = {
        "ours": lambda: time_command(ours, ONE_THREAD, (0, 1)),
        "original": partial(time_command, _run_delete(_ORIGINAL, folder), ONE_THREAD),
        "converted": partial(time_command, _run_delete(_CONVERTED, folder), ONE_THREAD),
        "retraining": lambda: _time_retraining(dataset),
    }
    if find_spec("onnx2pytorch") is None:
        del measures["converted"]
    found = measure_in_turn(measures, rounds)
    for name in filter(measures.__contains__, names):
        yield make_row(
            f"`unlearn` of MobileNetV3-Small, relative to {names[name]}",
            statistics.median(found["ours"]), statistics.median(found[name]), "s",
            take_median_ratio(found["ours"], found[name]), None,
        )  # fmt: skip


def _run_delete(network: str, folder: Path) -> list[str]:
    script = _DELETE.format(network=network)
    return [sys.executable, "-c", script, str(_STEPS), str(folder / "delete.onnx"), str(SHIPPED)]


def _time_retraining(dataset: Dataset) -> float:
    """Return the recipe's seconds without the class, calculated from a part of an epoch."""
    kept = (dataset.train.labels != _FORGOTTEN).nonzero()[0]
    chosen = kept[:_TIMED_IMAGES]
    spec = NETWORKS["mobilenetv3-small"]
    inputs = prepare_inputs(dataset.train.images[chosen], spec, measure_statistics(dataset))
    torch.set_num_threads(1)
    start = time.perf_counter()
    train(
        mobilenet_v3_small(),
        inputs,
        torch.from_numpy(dataset.train.labels[chosen]),
        replace(RECIPE.training, epochs=1),
    )
    elapsed_s = time.perf_counter() - start
    return elapsed_s * len(kept) / len(chosen) * RECIPE.training.epochs
