"""One rule that chooses every method's setting, by the data that its group has."""

import time
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nhle_onnx.training.augmentation import synthesize_anchors
from studies.baselines.shared import make_generator, predict
from studies.baselines.table import Method, Setting
from studies.evaluation import extract_features
from studies.tasks import Task


class Tuned(NamedTuple):
    """The best setting's network; seconds of its run, and of all candidates with their scoring."""

    network: nn.Module
    setting: Setting
    score: float
    seconds: float
    tuning_seconds: float


def tune(method: Method, task: Task) -> Tuned:
    """Run every candidate and keep the one with the highest score, the first among equals."""
    start = time.perf_counter()
    best: Tuned | None = None
    for setting in method.settings:
        run_start = time.perf_counter()
        network = method.unlearn(task, **setting)
        seconds = time.perf_counter() - run_start
        score = score_network(network, task)
        if best is None or score > best.score:
            best = Tuned(network, setting, score, seconds, 0.0)
    if best is None:
        message = f"{method.name} has no settings"
        raise ValueError(message)
    return best._replace(tuning_seconds=time.perf_counter() - start)


@torch.no_grad()
def score_network(network: nn.Module, task: Task) -> float:
    """Agreement with the original on what is to be kept, less the share of forget samples not
    forgotten: the mean of that by the network's own head and that by the original one.

    From -1 to 1. No test data and no label of a retained sample is read.
    """
    own, original = (each.get_submodule("classifier") for each in (network, task.network))
    features = extract_features(network, task.forget)
    remembered = fmean(_measure_remembered(head(features), task) for head in (own, original))
    return _measure_agreement(network, task) - remembered


def _measure_remembered(logits: Tensor, task: Task) -> float:
    """The share of samples that do not go to a retained class; logits that are not finite go
    nowhere.
    """
    winners = _find_winners(logits, list(range(task.num_classes)))
    return float((~torch.isin(winners, torch.tensor(task.kept))).double().mean())


def _measure_agreement(network: nn.Module, task: Task) -> float:
    """How often the best retained class is the original's, on the data for that."""
    inputs = _get_retention_inputs(task)
    winners, expected = (
        _find_winners(predict(each, inputs), task.kept) for each in (network, task.network)
    )
    return float((winners == expected).double().mean())


def _get_retention_inputs(task: Task) -> Tensor:
    """Anchors or retained samples; without any, anchors made of the forget samples."""
    for inputs in (task.anchors, task.retained):
        if len(inputs):
            return inputs
    return synthesize_anchors(task.forget, make_generator(task))


def _find_winners(logits: Tensor, classes: list[int]) -> Tensor:
    """Which of the classes is highest for each sample; -1 where any output is not finite."""
    winners = torch.tensor(classes)[logits[:, classes].argmax(1)]
    return winners.where(logits.isfinite().all(1), -1)
