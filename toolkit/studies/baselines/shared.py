"""Shared parts of the methods: copies, steps, batches and predictions."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import cast

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from studies.tasks import Task

STEP_LIMIT = 300  # optimiser steps of one run; the tool's own runs end sooner
MOMENTUM = 0.9
BATCH_SIZE = 64
_DROPPED = -1e10  # a logit


def copy_network(network: nn.Module) -> nn.Module:
    """Copy a network for training, in inference mode, so that BatchNorm keeps its statistics."""
    return copy.deepcopy(network).eval().requires_grad_()


def reset_network(network: nn.Module, seed: int) -> nn.Module:
    """Copy a network with new random weights."""
    fresh = copy_network(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in fresh.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
    return fresh


def get_classifier(network: nn.Module) -> nn.Linear:
    """Return the last layer."""
    return cast("nn.Linear", network.get_submodule("classifier"))


def make_generator(task: Task) -> Generator:
    """Make a method's random generator."""
    return torch.Generator().manual_seed(task.seed)


def make_sgd(parameters: Iterable[Tensor], rate: float) -> torch.optim.Optimizer:
    """Make SGD with momentum."""
    return torch.optim.SGD(parameters, lr=rate, momentum=MOMENTUM)


def descend(
    optimizer: torch.optim.Optimizer, measure_loss: Callable[[], Tensor], steps: int
) -> None:
    """Minimise the loss; stop early if it is no longer finite."""
    for _ in range(steps):
        loss = measure_loss()
        if not torch.isfinite(loss):
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def draw_batch(inputs: Tensor, labels: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Draw up to `BATCH_SIZE` rows of several tensors, such as samples and labels."""
    chosen = torch.randperm(len(inputs), generator=generator)[:BATCH_SIZE]
    return inputs[chosen], labels[chosen]


@torch.no_grad()
def predict(network: nn.Module, inputs: Tensor) -> Tensor:
    """Return logits [N, K]."""
    return torch.cat([network(batch) for batch in inputs.split(500)])


def predict_kept(network: nn.Module, inputs: Tensor, task: Task) -> Tensor:
    """Return the best retained class of each sample, [N]."""
    kept = torch.tensor(task.kept)
    return kept[predict(network, inputs)[:, kept].argmax(1)]


def drop_forgotten(logits: Tensor, task: Task) -> Tensor:
    """Return logits [N, K] with a probability of 0 for all forgotten classes."""
    forgotten = torch.tensor(task.forgotten)
    return logits.index_fill(1, forgotten, _DROPPED)


def label_anchors(task: Task) -> Task:
    """Return the task with its anchors as retained samples, labelled by the original network."""
    labels = predict_kept(task.network, task.anchors, task)
    return replace(task, retained=task.anchors, retained_labels=labels)


def diverge(teacher: Tensor, student: Tensor) -> Tensor:
    """Return the mean KL(teacher ‖ student) over samples; both are logits [N, K]."""
    return functional.kl_div(
        student.log_softmax(1), teacher.log_softmax(1), reduction="batchmean", log_target=True
    )
