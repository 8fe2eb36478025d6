"""Methods that distil from teachers: DELETE, SCRUB and Bad Teacher."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from studies.baselines.shared import (
    copy_network,
    descend,
    diverge,
    draw_batch,
    make_generator,
    make_sgd,
    predict,
    reset_network,
)
from studies.tasks import Task

SCRUB_ALPHA, SCRUB_GAMMA = 0.5, 1.0  # weights of the divergence and of the cross-entropy
SCRUB_ROUND = 5  # steps, of which the first maximises
_MASKED = -1e10


def delete(task: Task, *, rate: float, steps: int) -> nn.Module:
    """DELETE (arXiv 2503.23751): the original's distribution without the class, on its samples.

    All forgotten classes are masked in every target, not only the sample's own.
    """
    network = copy_network(task.network)
    targets = predict(task.network, task.forget)
    targets[:, list(task.forgotten)] = _MASKED

    def measure_loss() -> Tensor:
        return diverge(targets, network(task.forget))

    descend(make_sgd(network.parameters(), rate), measure_loss, steps)
    return network


def scrub(task: Task, *, rate: float, steps: int) -> nn.Module:
    """SCRUB (arXiv 2302.09880): away from the teacher on forget samples, towards it and
    the labels on retained ones; in turn at first, then only towards.

    Rounds of a few steps stand for epochs and fill the first half. Plain SGD: momentum makes the
    unbounded departure run away. SCRUB+R's rewinding, meant for privacy, is left out.
    """
    network, generator = copy_network(task.network), make_generator(task)
    on_forget = predict(task.network, task.forget)
    on_retained = predict(task.network, task.retained)
    indices = torch.arange(len(task.retained))

    def measure_divergence() -> Tensor:
        return -diverge(on_forget, network(task.forget))

    def measure_retention() -> Tensor:
        inputs, chosen = draw_batch(task.retained, indices, generator)
        logits = network(inputs)
        likeness = diverge(on_retained[chosen], logits)
        labelled = functional.cross_entropy(logits, task.retained_labels[chosen])
        return SCRUB_ALPHA * likeness + SCRUB_GAMMA * labelled

    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    rounds = steps // 2 // SCRUB_ROUND
    for _ in range(rounds):
        descend(optimizer, measure_divergence, 1)
        descend(optimizer, measure_retention, SCRUB_ROUND - 1)
    descend(optimizer, measure_retention, steps - rounds * SCRUB_ROUND)
    return network


def bad_teacher(task: Task, *, rate: float, steps: int) -> nn.Module:
    """Bad Teacher (arXiv 2205.08096): KL from the original network on retained samples,
    from a network with random weights on forget samples. It reads no label.
    """
    network, generator = copy_network(task.network), make_generator(task)
    competent = predict(task.network, task.anchors)
    incompetent = predict(reset_network(network, task.seed), task.forget)

    def measure_loss() -> Tensor:
        inputs, targets = draw_batch(task.anchors, competent, generator)
        logits = network(torch.cat([inputs, task.forget]))
        return diverge(torch.cat([targets, incompetent]), logits)

    descend(torch.optim.Adam(network.parameters(), lr=rate), measure_loss, steps)
    return network
