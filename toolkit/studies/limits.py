"""The default setting on every class of many networks, compared with its limits."""

from collections.abc import Iterable, Sequence
from functools import cache as remember
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.progress import track

from studies.datasets import load_dataset
from studies.evaluation import Accuracies, measure_accuracies
from studies.limits_page import (
    KEY,
    LIMITS,
    NAME,
    WITH_ANCHORS,
    describe,
    publish,
    publish_picture,
)
from studies.networks import NETWORKS
from studies.options import cache_option, data_root_option, fresh_option
from studies.ours import run_tool
from studies.results import resume
from studies.subjects import Classifier, open_classifier
from studies.tables import Row, get_key
from studies.tasks import ANCHORS_PER_CLASS, FORGET_SAMPLES, draw_task

DATASETS = ("mnist", "fashion_mnist")
STUDIED = ("mlp", "lenet5", "resnet18", "mobilenetv3-small")
REQUESTS = (*((index,) for index in range(10)), (0, 4))


class Cell(NamedTuple):
    """One measurement."""

    forgotten: tuple[int, ...]
    data: str
    seed: int


@click.command()
@data_root_option
@cache_option
@click.option("--dataset", "datasets", multiple=True, type=click.Choice(DATASETS), default=DATASETS)
@click.option(
    "--network", "names", multiple=True, type=click.Choice(list(NETWORKS)), default=STUDIED
)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@fresh_option
def limits(
    data_root: Path,
    cache: Path,
    datasets: Sequence[str],
    names: Sequence[str],
    seeds: int,
    fresh: bool,  # noqa: FBT001
) -> None:
    """Forget each class, and 0 with 4, on every network; rows measured before are kept."""
    with resume(NAME, fresh=fresh) as kept:
        done = {get_key(row, KEY) for row in kept.rows}
        for dataset_name, name in product(datasets, names):
            cells = [
                cell
                for cell in list_cells(seeds)
                if (dataset_name, name, *write_cell(cell)) not in done
            ]
            if not cells:
                continue
            classifier = open_classifier(load_dataset(dataset_name, data_root), name, cache)
            for cell in track(cells, description=f"{dataset_name} {name}"):
                kept.add(measure_cell(classifier, cell))
        publish(kept.rows)
    publish_picture(kept.rows)
    click.echo(describe(kept.rows))


def list_cells(seeds: int) -> list[Cell]:
    """List cells seed by seed, so that an interrupted run has rows of every class."""
    return [
        Cell(forgotten, data, seed)
        for seed, forgotten, data in product(range(seeds), REQUESTS, LIMITS)
    ]


def measure_cell(classifier: Classifier, cell: Cell) -> Row:
    """Draw samples by the seed, unlearn with the tool's defaults, and test."""
    task = draw_task(
        classifier.dataset,
        classifier.name,
        classifier.network,
        cell.forgotten,
        per_class=FORGET_SAMPLES // len(cell.forgotten),
        seed=cell.seed,
        anchors_per_class=ANCHORS_PER_CLASS if cell.data == WITH_ANCHORS else 0,
    )
    before = measure_original(classifier, cell.forgotten)
    run = run_tool(task)
    after = measure_accuracies(run.network, classifier.network, classifier.test, cell.forgotten)
    return {
        **dict(
            zip(KEY, (classifier.dataset.name, classifier.name, *write_cell(cell)), strict=True)
        ),
        "Acc_F before": before.acc_f,
        "Acc_F": after.acc_f,
        "unmasked": after.unmasked,
        "Acc_R before": before.acc_r,
        "ΔAcc_R": after.acc_r - before.acc_r,
        "steps": run.report.method["steps_run"],
        "s": sum(run.report.elapsed_s.values()),
    }


@remember
def measure_original(classifier: Classifier, forgotten: tuple[int, ...]) -> Accuracies:
    """Measure the original network, once for each request."""
    return measure_accuracies(classifier.network, classifier.network, classifier.test, forgotten)


def write_cell(cell: Cell) -> tuple[Any, ...]:
    """Return a cell as in its row's key, after data set and network."""
    return (write_classes(cell.forgotten), cell.data, cell.seed)


def write_classes(classes: Iterable[int]) -> str:
    """Write classes as on the command line."""
    return ",".join(map(str, classes))
