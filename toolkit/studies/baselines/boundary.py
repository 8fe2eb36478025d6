"""Boundary unlearning: Chen et al., arXiv 2303.11570."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from studies.baselines.shared import (
    copy_network,
    descend,
    get_classifier,
    make_sgd,
    predict_kept,
    reset_network,
)
from studies.tasks import Task

ATTACK_SIZE = 0.1  # of the inputs' range; the paper has 0.1 for pixels from 0 to 1


def boundary_shrink(task: Task, *, rate: float, steps: int) -> nn.Module:
    """Train each forget sample towards the class across its nearest boundary.

    That is the best retained class of the attacked sample, so that an attack that is too weak to
    cross the boundary names a neighbour as well.
    """
    network = copy_network(task.network)
    neighbours = predict_kept(network, attack(task), task)

    def measure_loss() -> Tensor:
        return functional.cross_entropy(network(task.forget), neighbours)

    descend(make_sgd(network.parameters(), rate), measure_loss, steps)
    return network


def attack(task: Task) -> Tensor:
    """Move forget samples uphill: x + ε sign ∇ₓ CE(f(x), y), [N, C, H, W]."""
    inputs = task.forget.clone().requires_grad_()
    loss = functional.cross_entropy(task.network(inputs), task.forget_labels)
    (gradient,) = torch.autograd.grad(loss, inputs)
    low, high = task.forget.aminmax()
    return task.forget + ATTACK_SIZE * (high - low) * gradient.sign()


def boundary_expand(task: Task, *, rate: float, steps: int) -> nn.Module:
    """Train forget samples towards an additional shadow class, whose row is then removed."""
    network = copy_network(task.network)
    head = get_classifier(network)
    shadow = get_classifier(reset_network(network, task.seed))
    with torch.no_grad():
        wide = nn.Linear(head.in_features, head.out_features + 1)
        wide.weight.copy_(torch.cat([head.weight, shadow.weight[:1]]))
        wide.bias.copy_(torch.cat([head.bias, shadow.bias[:1]]))
    network.add_module("classifier", wide)
    labels = torch.full((len(task.forget),), task.num_classes)

    def measure_loss() -> Tensor:
        return functional.cross_entropy(network(task.forget), labels)

    descend(make_sgd(network.parameters(), rate), measure_loss, steps)
    head.load_state_dict({name: value[:-1] for name, value in wide.state_dict().items()})
    network.add_module("classifier", head)
    return network
