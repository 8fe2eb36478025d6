"""Spotter: Ha et al., "Unlearning's blind spots", arXiv 2506.01318."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from studies.baselines.boundary import attack
from studies.baselines.shared import (
    copy_network,
    descend,
    diverge,
    drop_forgotten,
    get_classifier,
    make_sgd,
    predict,
)
from studies.tasks import Task

FORGETTING = 0.5  # λ₁, the weight of the forget loss beside that near the samples


def scatter(task: Task, *, rate: float, steps: int, dispersion: float) -> nn.Module:
    """Minimise λ₁ L_forget + (1 - λ₁) L_near + `dispersion` L_similar.

    L_near keeps the original's distribution without the class on attacked forget samples, where
    forgetting does its damage (OU@ε). L_similar is the mean cosine between features of a class, so
    that no prototype of it is left.

    The paper adds this to any method and names no constants that could be found. Assumed here:
    DELETE's loss to forget with, and one fixed attack, that of Boundary Shrink.
    """
    network = copy_network(task.network)
    inputs = torch.cat([task.forget, attack(task)])
    targets = drop_forgotten(predict(task.network, inputs), task)
    count = len(task.forget)

    def measure_loss() -> Tensor:
        features, logits = run(network, inputs)
        forget = diverge(targets[:count], logits[:count])
        near = diverge(targets[count:], logits[count:])
        similar = measure_similarity(features[:count], task.forget_labels)
        return FORGETTING * forget + (1 - FORGETTING) * near + dispersion * similar

    descend(make_sgd(network.parameters(), rate), measure_loss, steps)
    return network


def run(network: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return features [N, D] and logits [N, K], with gradients."""
    taken: list[Tensor] = []
    hook = get_classifier(network).register_forward_pre_hook(lambda _, args: taken.append(args[0]))
    logits = network(inputs)
    hook.remove()
    return taken[0], logits


def measure_similarity(features: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cosine over pairs of samples [N, D] of one class; 0 if there are none."""
    directions = functional.normalize(features)
    pairs = (labels[:, None] == labels).fill_diagonal_(fill_value=False)
    return (directions @ directions.T * pairs).sum() / pairs.sum().clamp(min=1)
