"""The rule that chooses every method's setting, from the data of its group."""

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
    """The network of the best setting; seconds of its run, and of all candidates with scoring."""

    network: nn.Module
    setting: Setting
    score: float
    seconds: float
    tuning_seconds: float


def tune(method: Method, task: Task) -> Tuned:
    """Run every candidate and keep the one with the highest score, the first of equals."""
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
    """Score a network from -1 to 1: what it keeps, minus what it remembers.

    It keeps the share of retention inputs on which it agrees with the original. It remembers the
    share of forget samples not forgotten, averaged over its own and the original's head. No test
    data and no labels of retained samples are used.
    """
    own, original = (each.get_submodule("classifier") for each in (network, task.network))
    features = extract_features(network, task.forget)
    remembered = fmean(_measure_remembered(head(features), task) for head in (own, original))
    return _measure_agreement(network, task) - remembered


def _measure_remembered(logits: Tensor, task: Task) -> float:
    """Return the share of samples not assigned to a retained class; NaN assigns none."""
    winners = _find_winners(logits, list(range(task.num_classes)))
    return float((~torch.isin(winners, torch.tensor(task.kept))).double().mean())


def _measure_agreement(network: nn.Module, task: Task) -> float:
    """Return how often the best retained class is the original's, on the retention inputs."""
    inputs = _get_retention_inputs(task)
    winners, expected = (
        _find_winners(predict(each, inputs), task.kept) for each in (network, task.network)
    )
    return float((winners == expected).double().mean())


def _get_retention_inputs(task: Task) -> Tensor:
    """Return anchors, or else retained samples, or else anchors made from the forget samples."""
    for inputs in (task.anchors, task.retained):
        if len(inputs):
            return inputs
    return synthesize_anchors(task.forget, make_generator(task))


def _find_winners(logits: Tensor, classes: list[int]) -> Tensor:
    """Find the highest class for each sample; -1 where any output is not finite."""
    winners = torch.tensor(classes)[logits[:, classes].argmax(1)]
    return winners.where(logits.isfinite().all(1), -1)
