"""What training may lower on forget samples: a file a loss.

To add one, name it in `Loss` of `values/request.py`, which options read without torch, and write a
file of that name here, with underscores, that holds a `LOSS`.
"""

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

import torch
from torch import Tensor

from nhle_onnx.values.request import Loss


class ForgetLoss(NamedTuple):
    """A loss of logits [N, K] and negative-hot labels [N, K], and the optimizer that lowers it at a
    given rate.

    `measure` also takes the `scale`, which is the spread of the network's logits, and a `margin`:
    how many such spreads below the mean retained logit the class is to end.
    """

    measure: Callable[..., Tensor]
    optimizer: type[torch.optim.SGD | torch.optim.Adam]


def find_loss(name: Loss) -> ForgetLoss:
    """Return the loss that a user chose by name."""
    found: ForgetLoss = import_module(f"{__name__}.{name.replace('-', '_')}").LOSS
    return found
