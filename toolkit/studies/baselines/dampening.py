"""SSD, selective synaptic dampening: Foster et al., arXiv 2308.07707."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from studies.baselines.shared import copy_network
from studies.tasks import Task


def dampening(task: Task, *, alpha: float, lam: float) -> nn.Module:
    """Dampen the parameters that matter more to the forget samples than to all samples.

    With K classes of equal size, no importance for the forget samples exceeds K times the overall
    one, so a useful `alpha` is below K.
    """
    network = copy_network(task.network)
    everything = torch.cat([task.forget, task.retained])
    labels = torch.cat([task.forget_labels, task.retained_labels])
    to_forget = measure_importance(network, task.forget, task.forget_labels)
    to_all = measure_importance(network, everything, labels)
    with torch.no_grad():
        for parameter, forget, overall in zip(network.parameters(), to_forget, to_all, strict=True):
            parameter.copy_(dampen(parameter, forget, overall, alpha=alpha, lam=lam))
    return network


def measure_importance(network: nn.Module, inputs: Tensor, labels: Tensor) -> list[Tensor]:
    """Return the diagonal of the Fisher information. For each parameter tensor, this is the mean
    over samples of the squared gradient of log p(y|x).
    """
    parameters = list(network.parameters())
    totals = [torch.zeros_like(parameter) for parameter in parameters]
    for sample, label in zip(inputs.split(1), labels.split(1), strict=True):
        loss = functional.cross_entropy(network(sample), label)
        gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
        for total, gradient in zip(totals, gradients, strict=True):
            total.add_(gradient.square())
    return [total / len(inputs) for total in totals]


def dampen(value: Tensor, forget: Tensor, overall: Tensor, *, alpha: float, lam: float) -> Tensor:
    """Return θ min(lam F_D / F_F, 1) where F_F > alpha F_D, else θ."""
    factor = (lam * overall / forget).clamp(max=1)
    return torch.where(forget > alpha * overall, value * factor, value)
