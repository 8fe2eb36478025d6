"""The training loop: parameters, an objective, and a rule that says when to stop."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from nhle_onnx.errors import TrainingDivergedError
from nhle_onnx.hints import hint
from nhle_onnx.training.guard import StepGuard
from nhle_onnx.values.report import TrainingStep

_REMEDY = hint("Give a smaller {lr}, fewer {steps}, or {loss=saturating}.")
_SMALLEST_SCALE = 1e-3  # of a parameter, so that a bias of zeros moves too


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """One step's losses, with the names that `TrainingStep` has for them."""

    total: Tensor
    forget_loss: float
    retain_loss: float
    alignment_loss: float
    forget_margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """How training went, and whether the stop rule ended it."""

    points: tuple[TrainingStep, ...]
    is_settled: bool


def train(
    optimizer: torch.optim.Optimizer,
    objective: Callable[[], Losses],
    *,
    max_steps: int,
    should_stop: Callable[[Sequence[TrainingStep]], bool],
    on_step: Callable[[TrainingStep], None],
    guard: StepGuard | None = None,
) -> Trajectory:
    """Step until `should_stop` says so, or for `max_steps`.

    Raises TrainingDivergedError at the first step with a loss or a weight that is not finite;
    `objective` raises FloatingPointError where it cannot even compute one.
    """
    points: list[TrainingStep] = []
    for step in range(1, max_steps + 1):
        last = points[-1].retain_loss if points else 0.0
        try:
            point = _take_step(optimizer, _guarded(objective, guard, last), step, guard)
        except FloatingPointError as error:
            message = f"training diverged at step {step}: {error}"
            raise TrainingDivergedError(message, remedy=_REMEDY) from error
        points.append(point)
        on_step(point)
        if should_stop(points):
            return Trajectory(points=tuple(points), is_settled=True)
    return Trajectory(points=tuple(points), is_settled=False)


def _guarded(
    objective: Callable[[], Losses], guard: StepGuard | None, last: float
) -> Callable[[], Losses]:
    """The objective, after taking back steps that led too far."""

    def measure() -> Losses:
        while True:
            try:
                losses = objective()
            except FloatingPointError:
                if guard is None or not guard.can_take_back:
                    raise
            else:
                if guard is None or not guard.refuses(losses.retain_loss, last):
                    return losses
            guard.take_back()

    return measure


def _take_step(
    optimizer: torch.optim.Optimizer,
    objective: Callable[[], Losses],
    step: int,
    guard: StepGuard | None,
) -> TrainingStep:
    losses = objective()
    if guard:
        guard.remember()
    point = TrainingStep(
        step=step,
        forget_loss=losses.forget_loss,
        retain_loss=losses.retain_loss,
        alignment_loss=losses.alignment_loss,
        forget_margin=losses.forget_margin,
    )
    for name, value in (("loss", losses.total.item()), *asdict(point).items()):
        if not math.isfinite(value):
            message = f"the {name} is {value}"
            raise FloatingPointError(message)
    optimizer.zero_grad()
    losses.total.backward()
    optimizer.step()
    if not math.isfinite(_sum_weights(optimizer)):
        message = "a weight became infinite, or no number"
        raise FloatingPointError(message)
    return point


def _sum_weights(optimizer: torch.optim.Optimizer) -> float:
    """Finite only if each weight is; reads them once, and waits for the device once."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    return torch.stack([weight.detach().sum() for weight in weights]).sum().item()


def make_relative_adam(
    parameters: Sequence[nn.Parameter], rate: float, whole: Collection[nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """Adam whose step is a fraction `rate` of each tensor's own root mean square.

    That needs no tuning to a network: weights that were folded with a batch norm differ in
    magnitude by orders, and each moves in proportion. `whole` are parameters of whole numbers,
    which may count from a zero point of theirs: their magnitude is that about their mean.
    """
    centred = {id(parameter) for parameter in whole}
    groups = [
        {
            "params": [parameter],
            "lr": rate * _measure_magnitude(parameter.detach(), centres=id(parameter) in centred),
        }
        for parameter in parameters
    ]
    return torch.optim.Adam(groups, betas=(0.9, 0.99))


def _measure_magnitude(parameter: Tensor, *, centres: bool) -> float:
    values = parameter - parameter.mean() if centres and parameter.numel() > 1 else parameter
    return max(values.square().mean().sqrt().item(), _SMALLEST_SCALE)
