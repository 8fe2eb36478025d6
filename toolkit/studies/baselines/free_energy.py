"""CLUE: Sayyed et al., "CLUE: Bringing machine unlearning to mobile devices", WACV 2026."""

import math

from torch import Tensor, nn

from studies.baselines.shared import copy_network, descend, diverge, make_sgd, predict
from studies.tasks import Task


def raise_energy(task: Task, *, rate: float, steps: int, weight: float) -> nn.Module:
    """Treat forget samples as out of distribution, and distil from the original what it says of
    the retained classes on them.

    In the style of the paper, from its abstract and that of a patent application with the same
    idea (US 2026/0148064): an energy loss and a distillation loss on forget samples alone. Assumed
    here: the energy is that of Liu et al. (arXiv 2010.03759), -log Σ exp z, and its squared hinge
    ends where all scores are 0; `weight` is that of the divergence between both networks'
    distributions over the retained classes.
    """
    network, kept = copy_network(task.network), task.kept
    targets = predict(task.network, task.forget)[:, kept]

    def measure_loss() -> Tensor:
        logits = network(task.forget)
        return measure_shortfall(logits) + weight * diverge(targets, logits[:, kept])

    descend(make_sgd(network.parameters(), rate), measure_loss, steps)
    return network


def measure_shortfall(logits: Tensor) -> Tensor:
    """Return the mean squared distance by which energies are below those of scores that are 0."""
    excess = logits.logsumexp(1) - math.log(logits.shape[1])
    return excess.clamp(min=0).square().mean()
