"""BiasShift: the cheapest edit that looks like forgetting."""

import torch
from torch import nn

from studies.baselines.shared import copy_network, get_classifier
from studies.tasks import Task


@torch.no_grad()
def bias_shift(task: Task, *, shift: float) -> nn.Module:
    """Lower the forgotten classes' biases by `shift`, nothing else (arXiv 2605.08730)."""
    network = copy_network(task.network)
    get_classifier(network).bias[list(task.forgotten)] -= shift
    return network
