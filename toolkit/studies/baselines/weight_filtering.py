"""WF-Net: Poppi et al., "Multi-class unlearning for image classification via weight filtering"."""

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from studies.baselines.shared import copy_network, descend, draw_batch, make_generator
from studies.tasks import Task

OPEN = 3.0  # a gate's initial logit: 0.95 of the weight passes
FORGET_WEIGHT = 1.0
_SMALLEST = 1e-3  # of the loss whose inverse is minimised


def weight_filtering(task: Task, *, rate: float, steps: int) -> nn.Module:
    """Learn a gate in (0, 1) for each output unit of each layer, with frozen weights.

    The gates minimise CE(retained) + λ / CE(forget) (arXiv 2304.02049). Simplified: the paper
    learns gates for all classes at once and keeps them beside the weights; here there are only
    those of the request, multiplied into the weights at the end.
    """
    network, generator = copy_network(task.network), make_generator(task)
    weights = {name: value.detach() for name, value in network.named_parameters() if value.ndim > 1}
    gates = {
        name: torch.full((len(value), *[1] * (value.ndim - 1)), OPEN, requires_grad=True)
        for name, value in weights.items()
    }

    def filter_weights() -> dict[str, Tensor]:
        return {name: value * gates[name].sigmoid() for name, value in weights.items()}

    def measure_loss() -> Tensor:
        inputs, labels = draw_batch(task.retained, task.retained_labels, generator)
        logits = functional_call(network, filter_weights(), torch.cat([task.forget, inputs]))
        forget, retained = logits.split([len(task.forget), len(inputs)])
        error = functional.cross_entropy(forget, task.forget_labels)
        kept = functional.cross_entropy(retained, labels)
        return kept + FORGET_WEIGHT / error.clamp(min=_SMALLEST)

    descend(torch.optim.Adam(gates.values(), lr=rate), measure_loss, steps)
    with torch.no_grad():
        network.load_state_dict(filter_weights(), strict=False)
    return network
