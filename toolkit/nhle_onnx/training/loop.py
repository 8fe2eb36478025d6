"""The training loop: parameters, an objective, and a budget that says how to go on."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from nhle_onnx.errors import TrainingDivergedError
from nhle_onnx.hints import hint
from nhle_onnx.training.budget import Budget, Pace
from nhle_onnx.values.report import TrainingStep

_REMEDY = hint("Give a smaller {lr}, fewer {steps}, or {loss=saturating}.")
_SMALLEST_SCALE = 1e-3  # of a parameter, so that a bias of zeros moves too


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """One step's losses, and the margins that `TrainingStep` names."""

    forget: Tensor
    retain: Tensor
    alignment: Tensor
    drift: float
    forget_margin: float
    win_margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """How training went, and the pace at its end."""

    points: tuple[TrainingStep, ...]
    pace: Pace


class Stepper:
    """Parameters that an optimizer moves, at a multiple of each one's own rate."""

    def __init__(self, optimizer: torch.optim.Optimizer, *, undoes: bool) -> None:
        """The optimizer's rates are for the multiple 1. `undoes` keeps what taking a step back
        needs.
        """
        self._optimizer = optimizer
        self._rates = [group["lr"] for group in optimizer.param_groups]
        self._parameters = [item for group in optimizer.param_groups for item in group["params"]]
        self._before = [item.detach().clone() for item in self._parameters] if undoes else []

    def step(self, loss: Tensor, rate: float) -> None:
        """Move against the loss's gradient. Raises FloatingPointError if a weight is not finite
        then.
        """
        loss.backward()
        for group, own in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * own
        with torch.no_grad():
            for before, parameter in zip(self._before, self._parameters, strict=False):
                before.copy_(parameter)
        self._optimizer.step()
        self._optimizer.zero_grad()  # now, so that the next step's forward pass has their memory
        # finite only if each weight is; reads them once, and waits for the device once
        weights = torch.stack([weight.detach().sum() for weight in self._parameters])
        if not math.isfinite(weights.sum().item()):
            raise FloatingPointError("a weight became infinite or NaN")

    @torch.no_grad()
    def take_back(self) -> None:
        """Undo the last step."""
        for before, parameter in zip(self._before, self._parameters, strict=True):
            parameter.copy_(before)


def train(
    optimizer: torch.optim.Optimizer,
    objective: Callable[[], Losses],
    budget: Budget,
    pace: Pace,
    *,
    max_steps: int,
    on_step: Callable[[TrainingStep], None],
) -> Trajectory:
    """Step until the budget says so, or for `max_steps`.

    Raises TrainingDivergedError at the first step with a loss or a weight that is not finite;
    `objective` raises FloatingPointError where it cannot even compute one.
    """
    stepper = Stepper(optimizer, undoes=budget.adapts)
    points: list[TrainingStep] = []
    while len(points) < max_steps and pace.stop is None:
        step = len(points) + 1
        try:
            losses = _measure(objective, budget, pace, points)
            if losses is None:
                stepper.take_back()
                pace = budget.take_back(pace)
                continue
            total = losses.forget + losses.alignment + pace.weight * losses.retain
            points.append(_describe(losses, pace, step))
            stepper.step(total, pace.rate)
        except FloatingPointError as error:
            message = f"training diverged at step {step}: {error}"
            raise TrainingDivergedError(message, remedy=_REMEDY) from error
        on_step(points[-1])
        pace = budget.follow(pace, points)
    return Trajectory(points=tuple(points), pace=pace)


def _measure(
    objective: Callable[[], Losses], budget: Budget, pace: Pace, points: Sequence[TrainingStep]
) -> Losses | None:
    """Return the losses, or None where the last step is to be taken back."""
    try:
        losses = objective()
    except FloatingPointError:
        if not budget.refuses(pace, math.inf, points):
            raise
        return None
    return None if budget.refuses(pace, losses.drift, points) else losses


def _describe(losses: Losses, pace: Pace, step: int) -> TrainingStep:
    """Return the step as reported. Raises FloatingPointError where a figure is not finite."""
    point = TrainingStep(
        step=step,
        forget_loss=losses.forget.item(),
        retain_loss=pace.weight * losses.retain.item(),
        alignment_loss=losses.alignment.item(),
        forget_margin=losses.forget_margin,
        win_margin=losses.win_margin,
        drift=losses.drift,
        retain_weight=pace.weight,
        step_size=pace.rate,
    )
    for name, value in asdict(point).items():
        if not math.isfinite(value):
            raise FloatingPointError(f"the {name} is {value}")
    return point


def make_relative_adam(
    parameters: Sequence[nn.Parameter], rate: float, quantized: Collection[nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """Adam whose step is a fraction `rate` of each tensor's own root mean square.

    Weights that were folded with a batch norm differ in magnitude by orders, and each moves in
    proportion. `quantized` are parameters of whole numbers, which may count from a zero point of
    theirs: their magnitude is that about their mean.
    """
    centred = {id(parameter) for parameter in quantized}
    groups = [
        {
            "params": [parameter],
            "lr": rate * measure_magnitude(parameter.detach(), centres=id(parameter) in centred),
        }
        for parameter in parameters
    ]
    return torch.optim.Adam(groups, betas=(0.9, 0.99), fused=True)


def measure_magnitude(parameter: Tensor, *, centres: bool = False) -> float:
    """Return the root mean square of a tensor, about its mean if `centres`; never 0."""
    values = parameter - parameter.mean() if centres and parameter.numel() > 1 else parameter
    return max(values.square().mean().sqrt().item(), _SMALLEST_SCALE)
