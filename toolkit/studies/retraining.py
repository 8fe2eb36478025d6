"""The cost of unlearning compared with training again without the class."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import click
import torch

from architectures import mobilenet_v3_small
from mobilenetv3_small_fashion_mnist.recipe import RECIPE
from recipes.training import measure_accuracy, train
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
def retraining(data_root: Path, forget: int, runs: int) -> None:
    """Time the command on MobileNetV3-Small, then its recipe without the class, in one run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "nhle_onnx", "unlearn", str(MODEL), "--force"]
        edited, report = Path(folder) / "edited.onnx", Path(folder) / "edited.report.json"
        command += ["--forget", str(forget), "--out", str(edited)]
        took = [(time_command(command), read_training_time(report)) for _ in range(runs)]
    ours, trained = (median(seconds) for seconds in zip(*took, strict=True))
    dataset = load_dataset("fashion_mnist", data_root)
    spec, statistics = NETWORKS["mobilenetv3-small"], measure_statistics(dataset)
    kept, tested = dataset.train.labels != forget, dataset.test.labels != forget
    inputs = prepare_inputs(dataset.train.images[kept], spec, statistics)
    torch.manual_seed(RECIPE.training.seed)
    network = mobilenet_v3_small()
    start = time.perf_counter()
    train(network, inputs, torch.from_numpy(dataset.train.labels[kept]), RECIPE.training)
    retrained = time.perf_counter() - start
    test = prepare_inputs(dataset.test.images[tested], spec, statistics)
    accuracy = measure_accuracy(network, test, torch.from_numpy(dataset.test.labels[tested]))
    row = {
        "unlearn s": ours,
        "of it training s": trained,
        "retrain s": retrained,
        "ratio": retrained / ours,
        "ratio of training": retrained / trained,
        "limit": LIMIT,
        "met": write_met(met=retrained >= LIMIT * ours),
        "Acc_R retrained": accuracy,
    }
    body = (
        f"MobileNetV3-Small on Fashion-MNIST, class {forget}. `unlearn`: the whole command, from "
        f"start to exit, median of {runs}, to which the limit applies. `of it training`: its "
        "training stage, from its report; the rest imports torch, and measures the model before "
        "and after. `retrain`: the training loop of the shipped model's recipe "
        f"({RECIPE.training.epochs} epochs) on the images of the other classes, without loading "
        "them, evaluation and export.\n\n"
        f"{make_table([row])}"
    )
    write_results("retraining", "Unlearning beside retraining", body, [row])
    click.echo(make_table([row]))


def read_training_time(report: Path) -> float:
    """Return the seconds of the training stage."""
    seconds: float = json.loads(report.read_bytes())["elapsed_s"]["train"]
    return seconds


def time_command(command: list[str]) -> float:
    """Return the seconds of a whole command."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start
