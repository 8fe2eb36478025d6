"""The loss that the paper names."""

import torch
from torch import Tensor

from nhle_onnx.unlearning.losses import ForgetLoss
from nhle_onnx.unlearning.nhle import measure_forget_margin


def paper_cross_entropy_loss(logits: Tensor, labels: Tensor, **_: float) -> Tensor:
    """Soft-label cross-entropy -Σ ỹ log p, which is -ỹ·z as Σ ỹ = 0. Unbounded below."""
    return measure_forget_margin(logits, labels).mean()


LOSS = ForgetLoss(paper_cross_entropy_loss, torch.optim.SGD)  # as for `paper-gradient`
