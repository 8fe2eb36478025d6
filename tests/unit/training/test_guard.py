"""A step that blows a network up is taken back."""

import math

import pytest
import torch
from torch import nn

from nhle_onnx.errors import TrainingDivergedError
from nhle_onnx.training.guard import StepGuard
from nhle_onnx.training.loop import Losses, Trajectory, make_relative_adam, train

LARGE = 1000.0  # two numbers that cancel


class Cancelling(nn.Module):
    """A function of the difference of two large numbers, which a small share of them swamps."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Parameter(torch.tensor([LARGE]))
        self.right = nn.Parameter(torch.tensor([LARGE]))

    def measure(self, *, most: float = math.inf) -> Losses:
        """To raise the difference is to forget; to leave it near 0 is to retain."""
        difference = (self.left - self.right).sum()
        if difference.abs() > most:
            message = "it overflows"
            raise FloatingPointError(message)
        forget, retain = nn.functional.softplus(1 - difference), 20 * difference.square()
        return Losses(
            total=forget + retain, forget_loss=forget.item(), retain_loss=retain.item(),
            alignment_loss=0.0, forget_margin=0.0,
        )  # fmt: skip


def run(network: Cancelling, *, guards: bool, most: float = math.inf) -> Trajectory:
    optimizer = make_relative_adam(list(network.parameters()), 5e-3)
    return train(
        optimizer, lambda: network.measure(most=most), max_steps=60,
        should_stop=lambda _: False, on_step=lambda _: None,
        guard=StepGuard(optimizer) if guards else None,
    )  # fmt: skip


def test_a_step_that_leads_too_far_is_taken_back() -> None:
    blown_up, guarded = (run(Cancelling(), guards=guards) for guards in (False, True))
    assert max(point.retain_loss for point in blown_up.points) > 1000
    assert max(point.retain_loss for point in guarded.points) < 25
    assert len(guarded.points) == 60


def test_so_is_one_after_which_nothing_can_be_computed() -> None:
    with pytest.raises(TrainingDivergedError, match="step 2: it overflows"):
        run(Cancelling(), guards=False, most=5)
    assert len(run(Cancelling(), guards=True, most=5).points) == 60


def test_one_that_cannot_be_computed_to_begin_with_is_an_error() -> None:
    with pytest.raises(TrainingDivergedError, match="step 1"):
        run(Cancelling(), guards=True, most=-1)
