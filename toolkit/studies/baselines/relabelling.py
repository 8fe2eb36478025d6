"""Ordinary training with other labels or the other sign."""

import torch
from torch import nn
from torch.nn import functional

from studies.baselines.shared import copy_network, descend, draw_batch, make_generator, make_sgd
from studies.tasks import Task


def fine_tune(task: Task, *, rate: float, steps: int) -> nn.Module:
    """Train with cross-entropy on retained samples only (arXiv 1911.04933)."""
    network, generator = copy_network(task.network), make_generator(task)

    def measure_loss() -> torch.Tensor:
        inputs, labels = draw_batch(task.retained, task.retained_labels, generator)
        return functional.cross_entropy(network(inputs), labels)

    descend(make_sgd(network.parameters(), rate), measure_loss, steps)
    return network


def negative_gradient(task: Task, *, rate: float, steps: int) -> nn.Module:
    """Increase the forget samples' cross-entropy: NegGrad (arXiv 1911.04933)."""
    network = copy_network(task.network)

    def measure_loss() -> torch.Tensor:
        return -functional.cross_entropy(network(task.forget), task.forget_labels)

    descend(make_sgd(network.parameters(), rate), measure_loss, steps)
    return network


def negative_gradient_plus(task: Task, *, rate: float, steps: int, weight: float) -> nn.Module:
    """Minimise `weight` CE(retained) - (1 - `weight`) CE(forget): NegGrad+ (arXiv 2302.09880)."""
    network, generator = copy_network(task.network), make_generator(task)

    def measure_loss() -> torch.Tensor:
        inputs, labels = draw_batch(task.retained, task.retained_labels, generator)
        retained = functional.cross_entropy(network(inputs), labels)
        forget = functional.cross_entropy(network(task.forget), task.forget_labels)
        return weight * retained - (1 - weight) * forget

    descend(make_sgd(network.parameters(), rate), measure_loss, steps)
    return network


def random_label(task: Task, *, rate: float, steps: int) -> nn.Module:
    """Train each forget sample with a random retained class as its label (arXiv 2010.10981).

    The paper also continues with the rest of the training data, which this group does not have.
    """
    network, kept = copy_network(task.network), torch.tensor(task.kept)
    labels = kept[torch.randint(len(kept), (len(task.forget),), generator=make_generator(task))]

    def measure_loss() -> torch.Tensor:
        return functional.cross_entropy(network(task.forget), labels)

    descend(make_sgd(network.parameters(), rate), measure_loss, steps)
    return network
