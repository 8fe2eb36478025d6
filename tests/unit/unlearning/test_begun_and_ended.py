"""How long training goes on, by the options, and why it ended."""

from typing import Any

import pytest
import torch
from torch import nn

from nhle_onnx.hints import word
from nhle_onnx.lowering.module import LoweredModel
from nhle_onnx.training.budget import (
    TOO_LITTLE_FORGOTTEN,
    TOO_MUCH_DRIFT,
    Budget,
    Pace,
    start_budget,
)
from nhle_onnx.training.effort import ENDURANCE
from nhle_onnx.training.loop import Losses, Trajectory
from nhle_onnx.unlearning import pursuit
from nhle_onnx.unlearning.probing import Probe
from nhle_onnx.unlearning.pursuit import Goal, find_step_limit, limit_batch, pursue
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.report import TrainingStep

PROBE = Probe(scale=1.0, margin=0.75, mirrors=False, max_shift=1, answers=())


@pytest.mark.parametrize(
    ("budget", "stop", "drift", "reason"),
    [
        (Budget(adapts=True, steps=3), "other", 0.0, "steps given"),
        (Budget(adapts=True), "other", 0.0, "other"),
        (
            Budget(adapts=True, effort="thorough"), None, 0.0,
            f"{ENDURANCE['thorough'].steps} steps are the most; {TOO_LITTLE_FORGOTTEN.flags}",
        ),
        (
            Budget(adapts=True), None, 0.5,
            (f"{ENDURANCE['standard'].steps} steps are the most; {TOO_MUCH_DRIFT.flags}, or "
            "--effort thorough, which goes on for longer"),
        ),
    ],
)  # fmt: skip
def test_why_training_ended(budget: Budget, stop: str | None, drift: float, reason: str) -> None:
    pace = Pace(weight=1.0, rate=1.0, bound=0.1, stop=stop)
    point = TrainingStep(
        step=1, forget_loss=0.0, retain_loss=0.0, alignment_loss=0.0, forget_margin=0.0, drift=drift
    )  # fmt: skip
    trajectory = Trajectory(points=(point,), pace=pace)
    assert word(pursuit._name_stop(trajectory, budget), "flags") == reason


@pytest.mark.parametrize(
    ("options", "steps", "batch"),
    [
        ({}, ENDURANCE["standard"].steps, 256),
        ({"effort": "fast"}, ENDURANCE["fast"].steps, 64),
        ({"steps": 7, "batch_size": 32, "effort": "fast"}, 7, 32),
        ({"batch_size": 512}, ENDURANCE["standard"].steps, 512),
    ],
)
def test_the_most_that_a_run_takes(options: dict[str, Any], steps: int, batch: int) -> None:
    found = UnlearnOptions(**{"batch_size": 256} | options)
    assert (find_step_limit(found), limit_batch(found)) == (steps, batch)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Parameter(torch.tensor([number])) for number in (3.0, 5.0))


@pytest.mark.parametrize("quantized", [frozenset[str](), frozenset({"b"})])
def test_training_is_begun_as_the_options_and_the_goal_say(
    quantized: frozenset[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network to train learns its named tensors alone; the original learns nothing."""
    network, told, asked = Network(), [], []
    parameters = {"a": network.first, "b": network.second}
    lowered = LoweredModel(module=network, parameter_of=parameters, quantized=quantized)
    steps: list[int] = []

    def make_goal(module: nn.Module, original: nn.Module) -> Goal:
        told.extend([module, original])
        return Goal(measure, PROBE, measures=True, made_anchors=4, resists=True, loosest=0.07)

    def measure() -> Losses:
        zero = network.second.new_zeros(())
        return Losses(
            forget=network.second.square().sum(), retain=zero, alignment=zero, drift=0.0,
            forget_margin=0.0, win_margin=0.0,
        )  # fmt: skip

    def start(**given: Any) -> tuple[Budget, Pace]:  # noqa: ANN401 - as it is called
        asked.append(given)
        return start_budget(**given)

    monkeypatch.setattr(pursuit, "start_budget", start)
    options = UnlearnOptions(steps=2, effort="fast", lr=0.25)
    found = pursue(
        lowered, ["b"], make_goal, options, on_step=lambda point: steps.append(point.step)
    )
    assert asked == [
        {
            "steps": 2, "measures": True, "is_rounded": bool(quantized), "is_rate_given": True,
            "margin": 0.75, "effort": "fast", "loosest": 0.07, "rounded": None,
        }
    ]  # fmt: skip
    module, original = told
    assert module is network
    assert isinstance(original, Network)
    assert (original.first.item(), original.second.item()) == (3.0, 5.0)
    assert [each.requires_grad for each in (*module.parameters(), *original.parameters())] == [
        False, True, False, False,
    ]  # fmt: skip
    assert steps == [1, 2]
    assert found.tensors.keys() == {"b"}
    assert found.tensors["b"] == pytest.approx(network.second.item())
    assert network.second.item() < 5.0
    assert (found.stop_reason, found.probe) == ("steps given", PROBE)
    assert (found.made_anchors, found.resists) == (4, True)
    assert [point.step for point in found.trajectory.points] == [1, 2]
