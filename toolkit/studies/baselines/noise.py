"""UNSIR: Tarun et al., "Fast yet effective machine unlearning", arXiv 2111.08947."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from studies.baselines.shared import copy_network, descend, draw_batch, make_generator
from studies.tasks import Task

NOISE_STEPS, NOISE_RATE, NOISE_PENALTY = 40, 0.1, 0.1
REPAIR_RATE = 0.5  # of the rate for impairing; the paper has 0.01 and 0.02


def error_maximising_noise(task: Task, *, rate: float, steps: int) -> nn.Module:
    """Learn noise that maximises the class's error, impair the network with it, and repair it.

    Impairing trains on the noise with the class's label among retained samples, repairing on
    retained samples only. Each takes `steps`, in place of the paper's one epoch. Of the forget
    samples, only the labels are used.
    """
    network, generator = copy_network(task.network), make_generator(task)
    noise = torch.randn(task.forget.shape, generator=generator).requires_grad_()

    def measure_noise() -> Tensor:
        error = functional.cross_entropy(network(noise), task.forget_labels)
        size = torch.linalg.vector_norm(noise.flatten(1), dim=1)
        penalty: Tensor = NOISE_PENALTY * size.mean()
        return penalty - error

    def measure_repair() -> Tensor:
        inputs, labels = draw_batch(task.retained, task.retained_labels, generator)
        return functional.cross_entropy(network(inputs), labels)

    def measure_impairment() -> Tensor:
        inputs, labels = draw_batch(task.retained, task.retained_labels, generator)
        logits = network(torch.cat([noise.detach(), inputs]))
        return functional.cross_entropy(logits, torch.cat([task.forget_labels, labels]))

    descend(torch.optim.Adam([noise], lr=NOISE_RATE), measure_noise, NOISE_STEPS)
    descend(torch.optim.Adam(network.parameters(), lr=rate), measure_impairment, steps)
    repair = torch.optim.Adam(network.parameters(), lr=REPAIR_RATE * rate)
    descend(repair, measure_repair, steps)
    return network
