"""Classes whose scores are constants take no part in training."""

import pytest
import torch
from torch import Tensor, nn

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.lowering.module import LoweredModel
from nhle_onnx.unlearning.computed_classes import leave_out_constants, renumber_request
from nhle_onnx.values.request import ForgetRequest


class Pair(nn.Module):
    """Gives scores [N, 4, 1, 1] and features."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return torch.arange(4.0).reshape(1, 4, 1, 1).repeat(len(images), 1, 1, 1), images


def test_scores_of_the_computed_classes_alone_are_left() -> None:
    lowered = LoweredModel(module=Pair(), parameter_of={}, quantized=frozenset({"w"}))
    left = leave_out_constants(lowered, (0, 3), 4)
    scores, features = left.module(torch.ones(2, 5))
    assert scores.tolist() == [[0, 3], [0, 3]]
    assert torch.equal(features, torch.ones(2, 5))
    assert left.quantized == {"w"}
    assert leave_out_constants(lowered, range(4), 4) is lowered


def test_a_request_counts_the_computed_classes() -> None:
    request = ForgetRequest(forget=(2, 5), num_classes=6)
    expected = ForgetRequest(forget=(1, 3), num_classes=4)
    assert renumber_request(request, (0, 2, 3, 5)) == expected
    with pytest.raises(UnsupportedModelError) as caught:
        renumber_request(request, (0, 2, 3))
    assert caught.value.reason == "the score of class 5 is a constant in this graph"
    assert caught.value.remedy == "Such a class has nothing to forget."
