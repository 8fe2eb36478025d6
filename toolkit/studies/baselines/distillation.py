"""Methods that distil from teachers: DELETE, SCRUB and Bad Teacher."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from studies.baselines.shared import (
    copy_network,
    descend,
    diverge,
    draw_batch,
    drop_forgotten,
    make_generator,
    make_sgd,
    predict,
    reset_network,
)
from studies.tasks import Task

SCRUB_ALPHA, SCRUB_GAMMA = 0.5, 1.0  # weights of the divergence and of the cross-entropy
SCRUB_ROUND = 5  # steps; the first one maximises


def delete(task: Task, *, rate: float, steps: int) -> nn.Module:
    """DELETE (arXiv 2503.23751): learn the original's distribution without the class, on its
    samples. All forgotten classes are masked in every target, not only the sample's own.
    """
    network = copy_network(task.network)
    targets = drop_forgotten(predict(task.network, task.forget), task)

    def measure_loss() -> Tensor:
        return diverge(targets, network(task.forget))

    descend(make_sgd(network.parameters(), rate), measure_loss, steps)
    return network


def scrub(task: Task, *, rate: float, steps: int) -> nn.Module:
    """SCRUB (arXiv 2302.09880): leave the teacher on forget samples, follow it on retained ones.

    Retained samples also follow their labels. Both directions alternate at first; later, only the
    second is used. Rounds of a few steps replace epochs, and fill the first half. Plain SGD is
    used, as momentum makes the unbounded divergence grow out of control. SCRUB+R's rewinding, meant
    for privacy, is left out.
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
    """Bad Teacher (arXiv 2205.08096): learn from two networks by KL divergence. The original
    teaches retained samples, a network with random weights forget samples. No labels are used.
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
