"""The loss whose gradient the paper prints."""

import torch
from torch import Tensor

from nhle_onnx.unlearning.losses import ForgetLoss
from nhle_onnx.unlearning.nhle import measure_forget_margin


def paper_gradient_loss(logits: Tensor, labels: Tensor, **_: float) -> Tensor:
    """logsumexp(z) - ỹ·z: its gradient is the paper's p - ỹ (Eq. 2 and 5). Unbounded below."""
    return (torch.logsumexp(logits, 1) + measure_forget_margin(logits, labels)).mean()


LOSS = ForgetLoss(paper_gradient_loss, torch.optim.SGD)  # rates of 0.1 to 0.2 imply it
