"""The methods compared on the paper's tasks: its recipe, read literally, and the tool."""

import copy
from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from nhle_onnx.unlearning.losses.paper_gradient import paper_gradient_loss
from nhle_onnx.unlearning.nhle import encode_negative_hot
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.request import ForgetRequest
from studies.baselines.negative_hot import encode_plain_negative, mask_head
from studies.datasets import Dataset, load_dataset
from studies.evaluation import TestData, extract_features
from studies.metrics import Accuracy, Separability, measure_accuracy, measure_separability
from studies.networks import NETWORKS, get_network, measure_statistics, prepare_inputs
from studies.ours import run_tool
from studies.paper_text import (
    RANDOM_CLASSES,
    RATES,
    SAMPLES,
    SINGLE_CLASS,
    TWO_CLASSES,
    Kind,
    Pair,
)
from studies.tasks import Task

STEP_LIMIT = 100
HUNDRED = 100  # for data sets with so many classes, the paper draws those to forget

Loss = Callable[[Tensor, Tensor], Tensor]
Encoding = Callable[[Tensor, ForgetRequest], Tensor]


class Experiment(NamedTuple):
    """A trained network, its data set with pixel statistics, and test inputs."""

    pair: Pair
    dataset: Dataset
    statistics: tuple[float, float]
    network: nn.Module
    test: TestData


class Edited(NamedTuple):
    """A network after unlearning, and the number of steps."""

    network: nn.Module
    steps: int


class Method(NamedTuple):
    """A way to unlearn, with its name in the tables; `anchored` ones also get anchors."""

    name: str
    apply: Callable[[Task], Edited]
    anchored: bool = False


class Measured(NamedTuple):
    """The figures of a network on the test images."""

    accuracy: Accuracy
    separability: Separability


def open_experiment(pair: Pair, root: Path, cache: Path) -> Experiment:
    """Read the data set, and train or load the network. Raises DatasetMissingError."""
    dataset = load_dataset(pair.dataset, root)
    statistics = measure_statistics(dataset)
    inputs = prepare_inputs(dataset.test.images, NETWORKS[pair.network], statistics)
    test = TestData(inputs, torch.from_numpy(dataset.test.labels))
    network = get_network(dataset, pair.network, cache)
    return Experiment(pair, dataset, statistics, network, test)


def choose_classes(kind: Kind, num_classes: int, run: int) -> tuple[int, ...]:
    """Choose class 0; or 0 and 4, or 20 of 100 drawn with the run as the seed."""
    if kind == "single":
        return SINGLE_CLASS
    if num_classes < HUNDRED:
        return TWO_CLASSES
    drawn = np.random.default_rng(run).choice(num_classes, RANDOM_CLASSES, replace=False)
    return tuple(sorted(map(int, drawn)))


def take_task(experiment: Experiment, kind: Kind, run: int, *, anchored: bool) -> Task:
    """Take training samples in file order: run r takes the r-th block of each class."""
    forgotten = choose_classes(kind, experiment.dataset.num_classes, run)
    kept = [index for index in range(experiment.dataset.num_classes) if index not in forgotten]
    count = SAMPLES[kind]
    forget, forget_labels = _take_block(experiment, forgotten, run, count)
    anchors, _ = _take_block(experiment, tuple(kept), run, count if anchored else 0)
    return Task(
        network=experiment.network,
        num_classes=experiment.dataset.num_classes,
        forgotten=forgotten,
        forget=forget,
        forget_labels=forget_labels,
        anchors=anchors,
        retained=anchors[:0],
        retained_labels=forget_labels[:0],
        seed=run,
    )


def finetune(task: Task, rate: float, loss: Loss, encode: Encoding) -> Edited:
    """Train everything by plain SGD, in inference mode, until no forget sample is recognised."""
    network = copy.deepcopy(task.network)
    request = ForgetRequest(forget=task.forgotten, num_classes=task.num_classes)
    targets = encode(task.forget_labels, request)
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    logits = network(task.forget)
    for step in range(1, STEP_LIMIT + 1):
        optimizer.zero_grad()
        loss(logits, targets).backward()
        optimizer.step()
        logits = network(task.forget)
        is_recognised = logits.argmax(1) == task.forget_labels
        if not is_recognised.any() or not logits.isfinite().all():
            return Edited(network, step)
    return Edited(network, STEP_LIMIT)


def finetune_and_mask(task: Task, rate: float, loss: Loss) -> Edited:
    """Run NHLE-CWM as published."""
    network, steps = finetune(task, rate, loss, encode_negative_hot)
    return Edited(mask_head(network, task.forgotten, "zero"), steps)


def mask_only(task: Task) -> Edited:
    """Run CWM as published."""
    return Edited(mask_head(task.network, task.forgotten, "zero"), 0)


def keep(task: Task) -> Edited:
    """Return the original network."""
    return Edited(task.network, 0)


def use_tool(task: Task, options: UnlearnOptions) -> Edited:
    """Unlearn with the tool."""
    network, report = run_tool(task, options)
    return Edited(network, report.method["steps_run"])


def measure(network: nn.Module, test: TestData, forgotten: tuple[int, ...]) -> Measured:
    """Measure accuracies and distances on the test images."""
    features = extract_features(network, test.inputs)
    with torch.no_grad():
        logits = network.get_submodule("classifier")(features)
    labels = test.labels.numpy()
    return Measured(
        measure_accuracy(_predict_classes(logits.numpy()), labels, forgotten),
        measure_separability(features.numpy(), labels, forgotten),
    )


def _predict_classes(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return the winning class of each sample [N, K], or -1: with a published rate, a network may
    end up computing only NaN, and then recognises nothing.
    """
    return np.where(np.isfinite(logits).all(axis=1), logits.argmax(axis=1), -1)


def _take_block(
    experiment: Experiment, classes: tuple[int, ...], run: int, count: int
) -> tuple[Tensor, Tensor]:
    labels = experiment.dataset.train.labels
    blocks = [np.flatnonzero(labels == index)[run * count : (run + 1) * count] for index in classes]
    short = [index for index, block in zip(classes, blocks, strict=True) if len(block) < count]
    if short:
        message = f"{experiment.dataset.name}: class {short[0]} has too few samples for run {run}"
        raise ValueError(message)
    positions = np.concatenate(blocks)
    inputs = prepare_inputs(
        experiment.dataset.train.images[positions],
        NETWORKS[experiment.pair.network],
        experiment.statistics,
    )
    return inputs, torch.from_numpy(labels[positions])


RATE = RATES[0]
LOSSES: Mapping[str, Loss] = {
    "paper-gradient": paper_gradient_loss,
    "paper-cross-entropy": functional.cross_entropy,  # it takes any label [N, K], also y(B)
}
ENCODINGS: Mapping[str, Encoding] = {"NHLE": encode_negative_hot, "y(B)": encode_plain_negative}

ORIGINAL = Method("original", keep)
OURS = Method("ours", partial(use_tool, options=UnlearnOptions()))
RECIPES = tuple(
    Method(name, partial(finetune_and_mask, rate=RATE, loss=loss)) for name, loss in LOSSES.items()
)
COMPARED = (*RECIPES, OURS, OURS._replace(name="ours with anchors", anchored=True))
ENCODED = (
    ORIGINAL,
    *(
        Method(f"{encoding}, {name}", partial(finetune, rate=RATE, loss=loss, encode=encode))
        for (name, loss), (encoding, encode) in product(LOSSES.items(), ENCODINGS.items())
    ),
)
FINETUNED = {
    name: partial(finetune, loss=loss, encode=encode_negative_hot) for name, loss in LOSSES.items()
}
ABLATED = (
    ORIGINAL,
    Method("CWM only", mask_only),
    *(Method(f"NHLE only, {name}", partial(tune, rate=RATE)) for name, tune in FINETUNED.items()),
    *(recipe._replace(name=f"NHLE-CWM, {recipe.name}") for recipe in RECIPES),
    Method("ours, CWM only", partial(use_tool, options=UnlearnOptions(method="cwm"))),
    Method("ours, NHLE only", partial(use_tool, options=UnlearnOptions(method="nhle"))),
    OURS._replace(name="ours, NHLE-CWM"),
)
