"""The default setting on every class of many networks, against the limits that it must keep."""

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import click
import torch
from rich.progress import track
from torch import nn

from benchmarks.datasets import Dataset, load_dataset
from benchmarks.evaluation import Accuracies, TestData, measure_accuracies
from benchmarks.networks import NETWORKS, get_network, measure_statistics, prepare_inputs
from benchmarks.ours import run_tool
from benchmarks.results import make_table, read_rows, write_results
from benchmarks.tasks import draw_task

DATASETS = ("mnist", "fashion_mnist")
STUDIED = ("mlp", "lenet5", "resnet18", "mobilenetv3-small")
ANCHORS_PER_CLASS = 16
REQUESTS = (*((index,) for index in range(10)), (0, 4))
KEY = ("dataset", "network", "forget", "data", "seed")


class Limits(NamedTuple):
    """What every cell must keep, and the mean and the worst of ΔAcc_R over all cells."""

    acc_f: float
    unmasked: float
    mean_delta: float
    worst_delta: float


LIMITS = {
    "forget samples and anchors": Limits(0.005, 0.01, 0.0, -0.010),
    "forget samples alone": Limits(0.01, 0.05, -0.010, -0.035),
}


class Cell(NamedTuple):
    """One measurement."""

    forgotten: tuple[int, ...]
    data: str
    seed: int


class Subject(NamedTuple):
    """A trained network, how good it is, and what it is tested on."""

    dataset: Dataset
    name: str
    network: nn.Module
    test: TestData


@click.command()
@click.option("--data-root", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--cache", type=click.Path(path_type=Path), default=Path(".cache"), show_default=True)
@click.option("--dataset", "datasets", multiple=True, type=click.Choice(DATASETS), default=DATASETS)
@click.option(
    "--network", "names", multiple=True, type=click.Choice(list(NETWORKS)), default=STUDIED
)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--fresh", is_flag=True, help="Measure again what docs/results/limits.json holds.")
def limits(
    data_root: Path,
    cache: Path,
    datasets: Sequence[str],
    names: Sequence[str],
    seeds: int,
    fresh: bool,  # noqa: FBT001
) -> None:
    """Forget each class, and 0 with 4, on every network; rows measured before are kept."""
    rows = [] if fresh else read_rows("limits")
    for dataset_name, name in product(datasets, names):
        done = {get_key(row) for row in rows}
        cells = [
            cell
            for cell in map(Cell._make, product(REQUESTS, LIMITS, range(seeds)))
            if (dataset_name, name, write_classes(cell.forgotten), *cell[1:]) not in done
        ]
        if cells:
            subject = open_subject(load_dataset(dataset_name, data_root), name, cache)
            rows += measure_cells(subject, cells)
            publish(rows)
    click.echo(describe(rows))


def open_subject(dataset: Dataset, name: str, cache: Path) -> Subject:
    """The trained network and its test data."""
    inputs = prepare_inputs(dataset.test.images, NETWORKS[name], measure_statistics(dataset))
    test = TestData(inputs, torch.from_numpy(dataset.test.labels))
    return Subject(dataset, name, get_network(dataset, name, cache), test)


def measure_cells(subject: Subject, cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """A row for each cell."""
    before = {
        forgotten: measure_accuracies(subject.network, subject.network, subject.test, forgotten)
        for forgotten in {cell.forgotten for cell in cells}
    }
    description = f"{subject.dataset.name} {subject.name}"
    return [
        measure_cell(subject, cell, before[cell.forgotten])
        for cell in track(cells, description=description)
    ]


def measure_cell(subject: Subject, cell: Cell, before: Accuracies) -> dict[str, Any]:
    """Draw samples by the seed, unlearn with the tool's defaults, and test."""
    has_anchors = cell.data == "forget samples and anchors"
    task = draw_task(
        subject.dataset,
        subject.name,
        subject.network,
        cell.forgotten,
        per_class=16 // len(cell.forgotten),
        seed=cell.seed,
        anchors_per_class=ANCHORS_PER_CLASS if has_anchors else 0,
    )
    run = run_tool(task)
    after = measure_accuracies(run.network, subject.network, subject.test, cell.forgotten)
    return {
        "dataset": subject.dataset.name,
        "network": subject.name,
        "forget": write_classes(cell.forgotten),
        "data": cell.data,
        "seed": cell.seed,
        "Acc_F before": before.acc_f,
        "Acc_F": after.acc_f,
        "unmasked": after.unmasked,
        "Acc_R before": before.acc_r,
        "ΔAcc_R": after.acc_r - before.acc_r,
        "steps": run.report.method["steps_run"],
        "s": sum(run.report.elapsed_s.values()),
    }


def get_key(row: dict[str, Any]) -> tuple[Any, ...]:
    """What tells one row from another."""
    return tuple(row[name] for name in KEY)


def write_classes(classes: Iterable[int]) -> str:
    """As on the command line."""
    return ",".join(map(str, classes))


def publish(rows: Sequence[dict[str, Any]]) -> None:
    """Write the page; it says which cells there are."""
    body = (
        "`unlearn` with no option on networks trained by one recipe, 16 samples of the class to "
        f"forget (8 each for two classes), {ANCHORS_PER_CLASS} unlabelled anchors a retained class "
        "or none at all, drawn from the training images by the seed; judged on all test images. "
        "`unmasked` is Acc_F with the original head put back. ResNet-18 has its standard stem, on "
        f"images of 32 x 32.\n\n{describe(rows)}"
    )
    write_results("limits", "One setting for all", body, rows)


def describe(rows: Sequence[dict[str, Any]]) -> str:
    """A table against the limits, and one for each network."""
    parts = []
    for data, limit in LIMITS.items():
        chosen = [row for row in rows if row["data"] == data]
        if not chosen:
            continue
        keys = dict.fromkeys((row["dataset"], row["network"]) for row in chosen)
        cells = [
            {"dataset": key[0], "network": key[1]}
            | summarise([row for row in chosen if (row["dataset"], row["network"]) == key])
            for key in keys
        ]
        verdicts = judge(summarise(chosen), limit)
        parts.append(f"## With {data}\n\n{make_table(verdicts)}\n\n{make_table(cells)}")
    return "\n\n".join(parts)


def summarise(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The worst and the mean over cells."""
    deltas = [row["ΔAcc_R"] for row in rows]
    return {
        "cells": len(rows),
        "Acc_F before": fmean(row["Acc_F before"] for row in rows),
        "worst Acc_F": max(row["Acc_F"] for row in rows),
        "worst unmasked": max(row["unmasked"] for row in rows),
        "mean unmasked": fmean(row["unmasked"] for row in rows),
        "Acc_R before": fmean(row["Acc_R before"] for row in rows),
        "mean ΔAcc_R": fmean(deltas),
        "worst ΔAcc_R": min(deltas),
        "mean steps": fmean(row["steps"] for row in rows),
        "mean s": fmean(row["s"] for row in rows),
    }


def judge(summary: dict[str, Any], limit: Limits) -> list[dict[str, Any]]:
    """A row for each limit."""
    judged = [
        ("worst Acc_F", limit.acc_f, summary["worst Acc_F"] <= limit.acc_f),
        ("worst unmasked", limit.unmasked, summary["worst unmasked"] <= limit.unmasked),
        ("mean ΔAcc_R", limit.mean_delta, summary["mean ΔAcc_R"] >= limit.mean_delta),
        ("worst ΔAcc_R", limit.worst_delta, summary["worst ΔAcc_R"] >= limit.worst_delta),
    ]
    return [
        {"measure": name, "value": summary[name], "limit": value, "met": "yes" if met else "NO"}
        for name, value, met in judged
    ]
