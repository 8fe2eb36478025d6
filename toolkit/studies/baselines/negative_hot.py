"""The paper's own methods: NHLE, CWM, both, and its simple label y(B).

Wang et al., Scientific Reports 16, 11879 (2026), Eq. 2, 4-6. Plain SGD at one rate on the whole
network; the paper names neither the optimizer nor the number of steps.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from nhle_onnx.unlearning.losses.paper_gradient import paper_gradient_loss
from nhle_onnx.unlearning.nhle import encode_negative_hot
from nhle_onnx.values.request import ForgetRequest
from studies.baselines.shared import copy_network, descend, get_classifier
from studies.tasks import Task


def nhle(task: Task, *, rate: float, steps: int) -> nn.Module:
    """Train with the labels of Eq. 4 and the loss whose gradient is the p - ỹ of Eq. 2."""
    return _train(task, encode_negative_hot(task.forget_labels, _make_request(task)), rate, steps)


def simple_label(task: Task, *, rate: float, steps: int) -> nn.Module:
    """Train with y(B) of Eq. 6, -1 at the class and 0 elsewhere (Table 5); gradient p - y(B)."""
    return _train(task, encode_plain_negative(task.forget_labels, _make_request(task)), rate, steps)


def cwm(task: Task, *, mask: str) -> nn.Module:
    """Mask the head's rows, and leave the features unchanged (Table 6)."""
    return mask_head(task.network, task.forgotten, mask)


def nhle_cwm(task: Task, *, rate: float, steps: int, mask: str) -> nn.Module:
    """Train with NHLE, then mask with CWM."""
    return mask_head(nhle(task, rate=rate, steps=steps), task.forgotten, mask)


def encode_plain_negative(classes: Tensor, request: ForgetRequest) -> Tensor:
    """Return y(B) of Eq. 6: -1 at the sample's class [N], 0 elsewhere; [N, K]."""
    return -functional.one_hot(classes, request.num_classes).float()


def _make_request(task: Task) -> ForgetRequest:
    return ForgetRequest(forget=task.forgotten, num_classes=task.num_classes)


def _train(task: Task, labels: Tensor, rate: float, steps: int) -> nn.Module:
    network = copy_network(task.network)

    def measure_loss() -> Tensor:
        return paper_gradient_loss(network(task.forget), labels)

    descend(torch.optim.SGD(network.parameters(), lr=rate), measure_loss, steps)
    return network


@torch.no_grad()
def mask_head(network: nn.Module, forgotten: tuple[int, ...], mask: str) -> nn.Module:
    """Return a copy with rows of 0, and a bias of 0 (`zero`) or one that cannot win (`floor`)."""
    masked = copy_network(network)
    head = get_classifier(masked)
    rows = list(forgotten)
    head.weight[rows] = 0
    head.bias[rows] = torch.finfo(head.bias.dtype).min if mask == "floor" else 0.0
    return masked
