"""Taking back a step that leads too far: one step may blow a network up, however small it looks.

A step is a fraction of each tensor's own magnitude. Where large numbers cancel, as in weights that
were folded with a batch norm, that fraction can change all that the network computes.
"""

import torch

FAR = 20.0  # of the loss on what is retained; a good run stays below 10, a blown-up one is at 60
_JUMP = 2.0  # times the loss before, which it must exceed as well
_MOST = 10  # steps taken back, each of which halves the rate


class StepGuard:
    """Remembers weights before a step, and takes the step back where it led too far."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        """The optimizer's rates are those to begin with."""
        self._groups = optimizer.param_groups
        self._parameters = [item for group in self._groups for item in group["params"]]
        self._before = [parameter.detach().clone() for parameter in self._parameters]
        self._has_stepped = False
        self.taken_back = 0

    @torch.no_grad()
    def remember(self) -> None:
        """Keep the weights as they are before a step."""
        self._has_stepped = True
        for before, parameter in zip(self._before, self._parameters, strict=True):
            before.copy_(parameter)

    @property
    def can_take_back(self) -> bool:
        """Whether there are steps to take back, and so few were that more may help."""
        return self._has_stepped and self.taken_back < _MOST

    def refuses(self, retain_loss: float, last: float) -> bool:
        """Whether the last step led too far; `last` is the loss before it."""
        return self.can_take_back and retain_loss > max(FAR, _JUMP * last)

    @torch.no_grad()
    def take_back(self) -> None:
        """Undo the last step, and make those that follow half as large."""
        self.taken_back += 1
        for before, parameter in zip(self._before, self._parameters, strict=True):
            parameter.copy_(before)
        for group in self._groups:
            group["lr"] /= 2
