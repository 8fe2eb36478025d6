"""NHLE, negative-hot label encoding: labels, margins and what is to be kept, as pure functions.

Source: Wang et al., Scientific Reports 16, 11879 (2026). Logits z are [N, K]; ỹ is a
negative-hot label, whose entries sum to 0. The paper prints a gradient that its cross-entropy
does not have, so `losses` has both under their own names, beside ours.
"""

import torch
from torch import Tensor
from torch.nn import functional

from nhle_onnx.values.request import ForgetRequest


def encode_negative_hot(classes: Tensor, request: ForgetRequest) -> Tensor:
    """Negative-hot labels [N, K] of samples of forgotten classes [N] (Eq. 4).

    -1 at the sample's class; +1 spread over the retained classes; 0 at the other forgotten ones
    (the paper is silent about several classes). With one forgotten class this is Eq. 4.
    """
    labels = torch.zeros(len(classes), request.num_classes)
    labels[:, list(request.retained)] = 1 / len(request.retained)
    labels[torch.arange(len(classes)), classes] = -1.0
    return labels


def measure_forget_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """z_c minus the mean retained logit, which is -ỹ·z, for each sample [N]."""
    return -(labels * logits).sum(1)


def measure_win_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """z_c minus the best retained logit, for each sample [N]: above 0 the class wins."""
    own = (logits * (labels < 0)).sum(1)
    return own - logits.masked_fill(labels <= 0, -torch.inf).amax(1)


def retained_divergence(logits: Tensor, original: Tensor, request: ForgetRequest) -> Tensor:
    """KL divergence of the distribution over the retained classes from the original one."""
    retained = list(request.retained)
    return functional.kl_div(
        torch.log_softmax(logits[:, retained], 1),
        torch.log_softmax(original[:, retained], 1),
        reduction="batchmean",
        log_target=True,
    )


def anchor_loss(
    logits: Tensor, original: Tensor, request: ForgetRequest, *, scale: float
) -> Tensor:
    """Return how far the retained function moved: the divergence of its distribution, plus the
    squared change of its logits in units of `scale`.
    """
    retained = list(request.retained)
    change = (logits[:, retained] - original[:, retained]) / scale
    return retained_divergence(logits, original, request) + change.square().mean()
