"""JiT: Foster et al., "Zero-shot machine unlearning at scale via Lipschitz regularization"."""

import torch
from torch import Tensor, nn

from studies.baselines.shared import copy_network, descend, make_generator
from studies.tasks import Task


def lipschitz(task: Task, *, rate: float, sigma: float, steps: int) -> nn.Module:
    """Minimise ‖f(x) - f(x̃)‖ / ‖x - x̃‖ between forget samples and noisy copies, with f(x̃) fixed.

    After arXiv 2402.01401, but with one noisy copy of every sample in each step, where the paper
    averages many copies of one sample.
    """
    network, generator = copy_network(task.network), make_generator(task)
    low, high = task.forget.aminmax()

    def measure_loss() -> Tensor:
        noise = torch.randn(task.forget.shape, generator=generator)
        noisy = (task.forget + sigma * noise).clamp(low, high)
        distance = torch.linalg.vector_norm((task.forget - noisy).flatten(1), dim=1)
        difference = network(task.forget) - network(noisy).detach()
        change = torch.linalg.vector_norm(difference, dim=1)
        loss: Tensor = (change / distance).mean()
        return loss

    descend(torch.optim.SGD(network.parameters(), lr=rate), measure_loss, steps)
    return network
