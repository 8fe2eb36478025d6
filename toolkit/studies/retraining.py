"""The cost of unlearning compared with training again without the class."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import click
import torch

from architectures import mobilenet_v3_small
from mobilenetv3_small_fashion_mnist.recipe import RECIPE
from nhle_onnx.values.settings.unlearn import UnlearnSettings
from nhle_onnx.workflows.observer import Silence, Stopwatch
from nhle_onnx.workflows.plan import plan_unlearning
from nhle_onnx.workflows.training import train_features
from recipes.training import train
from studies.datasets import load_dataset
from studies.networks import NETWORKS, measure_statistics, prepare_inputs
from studies.options import data_root_option
from studies.results import ROOT, write_results
from studies.tables import make_table, write_met

MODEL = ROOT / "models" / "mobilenetv3_small_fashion_mnist" / "model.onnx"
LIMIT = 100


@click.command()
@data_root_option
@click.option("--forget", type=click.IntRange(0, 9), default=3, show_default=True)
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True)
@click.option(
    "--epochs", type=click.IntRange(1), default=1, show_default=True, help="Epochs that are timed."
)
def retraining(data_root: Path, forget: int, runs: int, epochs: int) -> None:
    """Time the command on MobileNetV3-Small, and epochs of its recipe without the class."""
    ours, trained = (
        median(part(forget) for _ in range(runs)) for part in (time_command, time_training)
    )
    retrained = time_epochs(data_root, forget, epochs) * RECIPE.training.epochs / epochs
    row = {
        "unlearn s": ours,
        "training s": trained,
        "retrain s": retrained,
        "ratio": retrained / ours,
        "ratio of training": retrained / trained,
        "limit": LIMIT,
        "met": write_met(met=retrained >= LIMIT * trained),
    }
    body = (
        f"MobileNetV3-Small on Fashion-MNIST, class {forget}. Seconds of the processor, so that "
        f"other work on the machine does not count; medians of {runs}. `unlearn`: the whole "
        "command, from start to exit. `training`: lowering and training, to which the limit "
        "applies; the rest imports torch, and measures the model before and after. `retrain`: the "
        f"training loop of the shipped model's recipe ({RECIPE.training.epochs} epochs, {epochs} "
        "of them timed) on the images of the other classes, without loading them, evaluation and "
        f"export.\n\n{make_table([row])}"
    )
    write_results("retraining", "Unlearning beside retraining", body, [row])
    click.echo(make_table([row]))


def time_command(forget: int) -> float:
    """Return the processor's seconds for a whole command."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "nhle_onnx", "unlearn", str(MODEL), "--forget"]
        command += [str(forget), "--out", str(Path(folder) / "edited.onnx")]
        before = os.times()
        subprocess.run(command, check=True, capture_output=True)
        after = os.times()
    return sum(after[2:4]) - sum(before[2:4])  # of child processes, in user and in system mode


def time_training(forget: int) -> float:
    """Return the processor's seconds for lowering and training."""
    settings = UnlearnSettings(model=MODEL, forget=(str(forget),), force=True)
    watch = Stopwatch(Silence())
    plan = plan_unlearning(settings, watch)
    return _time(lambda: train_features(plan, watch))


def time_epochs(data_root: Path, forget: int, epochs: int) -> float:
    """Return the processor's seconds for some epochs of the recipe without the class."""
    dataset = load_dataset("fashion_mnist", data_root)
    spec, statistics = NETWORKS["mobilenetv3-small"], measure_statistics(dataset)
    kept = dataset.train.labels != forget
    inputs = prepare_inputs(dataset.train.images[kept], spec, statistics)
    labels = torch.from_numpy(dataset.train.labels[kept])
    torch.manual_seed(RECIPE.training.seed)
    network, options = mobilenet_v3_small(), replace(RECIPE.training, epochs=epochs)
    return _time(lambda: train(network, inputs, labels, options))


def _time(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start
