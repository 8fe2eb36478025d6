"""Training towards any goal: the tensors in scope of a lowered network, for as long as it takes."""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from nhle_onnx.hints import hint
from nhle_onnx.lowering.module import LoweredModel
from nhle_onnx.training.averaging import WeightAverage
from nhle_onnx.training.budget import LARGEST_RATE, LOOSEST, Budget, RoundedDrift, start_budget
from nhle_onnx.training.effort import ENDURANCE
from nhle_onnx.training.loop import Losses, Trajectory, make_relative_adam, train
from nhle_onnx.unlearning.losses import find_loss
from nhle_onnx.unlearning.probing import Probe
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.report import TrainingStep

_WITHIN = 0.98  # of a step: at its very edge, rounding would decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Finetuned:
    """New tensors by ONNX name, how training went, and what was found for it."""

    tensors: dict[str, npt.NDArray[np.float32]]
    trajectory: Trajectory
    stop_reason: str
    optimizer: str
    probe: Probe
    made_anchors: int
    resists: bool


class Goal(NamedTuple):
    """What training minimises, what was found for it, whether it can measure a drift, and how many
    anchors were made for it. `loosest` is how far it may drift at most, and `rounded` how far where
    weights are rounded, if its steps adapt there.
    """

    objective: Callable[[], Losses]
    probe: Probe
    measures: bool
    made_anchors: int = 0
    resists: bool = False
    loosest: float = LOOSEST
    rounded: RoundedDrift | None = None


def pursue(
    lowered: LoweredModel,
    names: Sequence[str],
    make_goal: Callable[[nn.Module, nn.Module], Goal],
    options: UnlearnOptions,
    *,
    on_step: Callable[[TrainingStep], None],
) -> Finetuned:
    """Train the named tensors in place in `lowered`, and return their new values.

    `make_goal` takes the module in training and the original.
    """
    parameters = {name: lowered.parameter_of[name] for name in names}
    goal = make_goal(*_prepare(lowered.module, parameters.values()))
    quantized = [parameters[name] for name in names if name in lowered.quantized]
    spread_within_steps(quantized, options.seed)
    optimizer, optimizer_name = _make_optimizer(list(parameters.values()), quantized, options)
    rounded = list(parameters.values()) if quantized else []
    trajectory, stop_reason = _run(optimizer, goal, rounded, options, on_step)
    return Finetuned(
        tensors=lowered.read_tensors(names),
        trajectory=trajectory,
        stop_reason=stop_reason,
        optimizer=optimizer_name,
        probe=goal.probe,
        made_anchors=goal.made_anchors,
        resists=goal.resists,
    )


@torch.no_grad()
def spread_within_steps(quantized: Iterable[nn.Parameter], seed: int) -> None:
    """Give each weight that is rounded when read a place of its own that rounds to the same number.

    In the middle of its step, where a stored integer lies, each is equally far from the next: after
    a few updates of equal size, all would leap there at once.
    """
    generator = torch.Generator().manual_seed(seed)
    for parameter in quantized:
        places = torch.rand(parameter.shape, generator=generator) - 0.5
        parameter.add_(places.to(parameter), alpha=_WITHIN)


def _prepare(module: nn.Module, trained: Iterable[nn.Parameter]) -> tuple[nn.Module, nn.Module]:
    """Return the module with only `trained` to learn, and a frozen copy of it as it is, which
    shares all that is not trained.
    """
    # as the inputs are laid out, see `to_inputs`; torch's stubs lack this overload
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module.requires_grad_(requires_grad=False)
    learns = {id(parameter) for parameter in trained}
    shared = [item for item in (*module.parameters(), *module.buffers()) if id(item) not in learns]
    original = copy.deepcopy(module, {id(item): item for item in shared})
    for parameter in module.parameters():
        parameter.requires_grad_(id(parameter) in learns)
    return module, original


def _name_stop(trajectory: Trajectory, budget: Budget) -> str:
    if budget.steps is not None:
        return "steps given"
    missing = budget.explain(trajectory.pace, trajectory.points)
    steps = budget.endurance.steps
    limit = hint("{steps} steps are the most; {missing}", steps=steps, missing=missing)
    return trajectory.pace.stop or limit


def _run(
    optimizer: torch.optim.Optimizer,
    goal: Goal,
    rounded: Sequence[nn.Parameter],
    options: UnlearnOptions,
    on_step: Callable[[TrainingStep], None],
) -> tuple[Trajectory, str]:
    """Train until the budget or the options say so, and leave what is rounded at its average.
    Return also why training ended.
    """
    average = WeightAverage(rounded)

    def follow(point: TrainingStep) -> None:
        average.follow(point.step)
        on_step(point)

    budget, pace = start_budget(
        steps=options.steps,
        measures=goal.measures,
        is_rounded=bool(rounded),
        is_rate_given=options.lr is not None,
        margin=goal.probe.margin,
        effort=options.effort,
        loosest=goal.loosest,
        rounded=goal.rounded,
    )
    limit = find_step_limit(options)
    trajectory = train(optimizer, goal.objective, budget, pace, max_steps=limit, on_step=follow)
    average.write()
    return trajectory, _name_stop(trajectory, budget)


def find_step_limit(options: UnlearnOptions) -> int:
    """Return how many steps training takes at most."""
    return ENDURANCE[options.effort].steps if options.steps is None else options.steps


def limit_batch(options: UnlearnOptions) -> int:
    """Return how many images of each kind a step sees at most."""
    most = ENDURANCE[options.effort].most_images
    return options.batch_size if most is None else min(most, options.batch_size)


def _make_optimizer(
    parameters: Sequence[nn.Parameter], quantized: Sequence[nn.Parameter], options: UnlearnOptions
) -> tuple[torch.optim.Optimizer, str]:
    """Return relative Adam or, where a rate was given, the loss's own optimizer."""
    if options.lr is None:
        name = f"Adam, up to {LARGEST_RATE:.3g} of each tensor's magnitude a step"
        return make_relative_adam(parameters, 1.0, quantized), name
    kind = find_loss(options.loss).optimizer
    return kind(parameters, lr=options.lr), f"{kind.__name__}, rate {options.lr:.3g}"
