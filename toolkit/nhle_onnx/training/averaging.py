"""An average of weights over the last steps of training."""

from collections.abc import Iterable

import torch
from torch import nn

_KEPT = 0.8  # of the average at each step; the rest is the newest


class WeightAverage:
    """An exponential average of parameters, as if it had begun with the first step.

    Rounding makes a network of whole numbers jump from one step to the next; its average jumps
    less.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        """Average these parameters; without any, nothing is done."""
        self._parameters = list(parameters)
        self._averages = [parameter.detach().clone() for parameter in self._parameters]

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Take in the parameters after a step, counted from 1."""
        share = (1 - _KEPT) / (1 - _KEPT**step)
        for average, parameter in zip(self._averages, self._parameters, strict=True):
            average.lerp_(parameter, share)

    @torch.no_grad()
    def write(self) -> None:
        """Let the parameters be their averages."""
        for average, parameter in zip(self._averages, self._parameters, strict=True):
            parameter.copy_(average)
