"""Our own loss: NHLE that ends."""

import torch
from torch import Tensor
from torch.nn import functional

from nhle_onnx.unlearning.losses import ForgetLoss
from nhle_onnx.unlearning.nhle import measure_forget_margin


def saturating_loss(logits: Tensor, labels: Tensor, *, scale: float, margin: float) -> Tensor:
    """softplus(-ỹ·z / scale + margin): NHLE that ends once z_c is `margin` below the mean.

    `scale` is the spread of the logits, so that the margin means the same on every network.
    """
    return functional.softplus(measure_forget_margin(logits, labels) / scale + margin).mean()


LOSS = ForgetLoss(saturating_loss, torch.optim.Adam)
