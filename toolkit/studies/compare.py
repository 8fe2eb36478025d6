"""The tool compared with other methods, given the same data."""

import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.progress import track
from torch import nn

from studies.baselines.table import METHODS, Group, Method, restrict
from studies.baselines.tuning import tune
from studies.compare_bounds import LIMITED, REQUESTS, is_undecided
from studies.compare_page import (
    NAME,
    ORIGINAL,
    OURS,
    REFERENCE,
    RETRAINED,
    describe,
    is_within,
    publish,
    publish_picture,
)
from studies.datasets import LOADERS, load_dataset
from studies.evaluation import measure_accuracies
from studies.limits import DATASETS, write_classes
from studies.limits_page import NAME as LIMITS
from studies.networks import NETWORKS, get_network
from studies.options import cache_option, data_root_option, fresh_option
from studies.ours import unlearn_with_tool
from studies.results import read_rows, resume
from studies.subjects import Classifier, open_classifier
from studies.tables import Row, get_key, pick_rows
from studies.tasks import ANCHORS_PER_CLASS, FORGET_SAMPLES, Task, draw_task

CELL = ("dataset", "network", "data", "method")
KEY = (*CELL, "forget", "seed")
CHOICES = (OURS, ORIGINAL, RETRAINED, *dict.fromkeys(method.name for method in METHODS))
UNDECIDED = "undecided"


class Case(NamedTuple):
    """One measurement on a network."""

    data: str
    method: str
    forgotten: tuple[int, ...]
    seed: int


class Outcome(NamedTuple):
    """A network that has forgotten, and the cost. References have no cost here."""

    network: nn.Module
    seconds: float | None
    tuning_seconds: float | None = None
    setting: str = ""


@click.command(NAME)
@data_root_option
@cache_option
@click.option(
    "--dataset", "datasets", multiple=True, type=click.Choice(list(LOADERS)), default=DATASETS
)
@click.option(
    "--network", "names", multiple=True, type=click.Choice(list(NETWORKS)), default=("lenet5",)
)
@click.option(
    "--forget", "requests", multiple=True, default=REQUESTS,
    help="A class, or several with commas; once for each request.  [default: each of ten]",
)  # fmt: skip
@click.option(
    "--method", "methods", multiple=True, type=click.Choice((*CHOICES, UNDECIDED)), default=CHOICES,
    help="`undecided`: the baselines that may still dominate over ten classes with three draws.",
)  # fmt: skip
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True)
@fresh_option
def compare(
    data_root: Path,
    cache: Path,
    datasets: Sequence[str],
    names: Sequence[str],
    requests: Sequence[str],
    methods: Sequence[str],
    seeds: int,
    fresh: bool,  # noqa: FBT001
) -> None:
    """Forget with every method; rows that were measured before are kept, unless `--fresh`."""
    wanted = [read_classes(request) for request in requests]
    asked = [
        case
        for case in list_cases(wanted, seeds)
        if case.method in methods or (UNDECIDED in methods and is_baseline(case))
    ]
    keys = {(*cell, *write_case(case)) for *cell, case in product(datasets, names, asked)}
    with resume(NAME, fresh=fresh, chosen=lambda row: get_key(row, KEY) in keys) as kept:
        done = {get_key(row, KEY) for row in kept.rows}
        for dataset_name, name in product(datasets, names):
            cases = [case for case in asked if (dataset_name, name, *write_case(case)) not in done]
            if not cases:
                continue
            classifier = open_classifier(load_dataset(dataset_name, data_root), name, cache)
            limits = pick_rows(read_rows(LIMITS), dataset=dataset_name, network=name)
            for case in track(cases, description=f"{dataset_name} {name}"):
                chosen = pick_rows(kept.rows, dataset=dataset_name, network=name)
                if case.method in methods or is_wanted(case, chosen, limits):
                    kept.add(measure_case(classifier, case, cache))
        publish(kept.rows)
    publish_picture(kept.rows)
    click.echo(describe(kept.rows))


def read_classes(text: str) -> tuple[int, ...]:
    """Read classes as `write_classes` writes them."""
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as error:
        message = f"--forget {text}: give class indices, separated by commas"
        raise click.BadParameter(message) from error


def list_cases(requests: Sequence[tuple[int, ...]], seeds: int) -> Iterator[Case]:
    """List all cases on one network. References draw no samples, so they have one seed."""
    for forgotten in requests:
        yield from (Case(REFERENCE, name, forgotten, 0) for name in (ORIGINAL, RETRAINED))
        for seed in range(seeds):
            yield from (
                Case(group, OURS, forgotten, seed) for group in (Group.FORGET, Group.ANCHORS)
            )
            yield from (Case(method.group, method.name, forgotten, seed) for method in METHODS)


def is_baseline(case: Case) -> bool:
    """Whether a method is a baseline, not ours."""
    return case.method not in {OURS, ORIGINAL, RETRAINED}


def is_wanted(case: Case, rows: Sequence[Row], limits: Sequence[Row]) -> bool:
    """Whether a baseline with no more data than ours could dominate; rows are of one network."""
    part = pick_rows(rows, data=case.data, method=case.method)
    groups = (group for group in LIMITED if is_within(Group(case.data), group))
    return any(is_undecided(part, limits, group) for group in groups)


def write_case(case: Case) -> tuple[Any, ...]:
    """Return a case as in its row's key, after data set and network."""
    return (case.data, case.method, write_classes(case.forgotten), case.seed)


def measure_case(classifier: Classifier, case: Case, cache: Path) -> Row:
    """Forget, and measure on all test images."""
    outcome = carry_out(classifier, case, cache)
    after = measure_accuracies(outcome.network, classifier.network, classifier.test, case.forgotten)
    key = (classifier.dataset.name, classifier.name, *write_case(case))
    return {
        **dict(zip(KEY, key, strict=True)),
        "Acc_F": after.acc_f,
        "Acc_R": after.acc_r,
        # the original head does not fit a retrained network's features
        "unmasked": None if case.method == RETRAINED else after.unmasked,
        "s": outcome.seconds,
        "tuning s": outcome.tuning_seconds,
        "setting": outcome.setting,
    }


def carry_out(classifier: Classifier, case: Case, cache: Path) -> Outcome:
    """Forget as a case says."""
    if case.method == ORIGINAL:
        return Outcome(classifier.network, None)
    if case.method == RETRAINED:
        network = get_network(classifier.dataset, classifier.name, cache, without=case.forgotten)
        return Outcome(network, None)
    task = restrict(draw_samples(classifier, case), Group(case.data))
    if case.method == OURS:
        start = time.perf_counter()
        network = unlearn_with_tool(task)
        return Outcome(network, time.perf_counter() - start)
    tuned = tune(find_method(case), task)
    setting = ", ".join(f"{name} {value}" for name, value in tuned.setting.items())
    return Outcome(tuned.network, tuned.seconds, tuned.tuning_seconds, setting)


def draw_samples(classifier: Classifier, case: Case) -> Task:
    """Draw the same samples for all methods of a request and seed; `restrict` then leaves some."""
    return draw_task(
        classifier.dataset,
        classifier.name,
        classifier.network,
        case.forgotten,
        per_class=max(1, FORGET_SAMPLES // len(case.forgotten)),
        seed=case.seed,
        anchors_per_class=ANCHORS_PER_CLASS,
        retained_per_class=ANCHORS_PER_CLASS,
    )


def find_method(case: Case) -> Method:
    """Find a method in the table."""
    return next(method for method in METHODS if (method.group, method.name) == case[:2])
