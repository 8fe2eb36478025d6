"""Training without the classes whose scores a graph makes constants, as a class mask does.

A score of minus infinity has no gradient, and a very low one would drag down the mean of the
retained scores, which the class to forget is measured by.
"""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.lowering.module import LoweredModel
from nhle_onnx.values.request import ForgetRequest


class ComputedScores(nn.Module):
    """A module that gives a pair, scores and features, with the scores of some classes alone."""

    def __init__(self, module: nn.Module, classes: Sequence[int]) -> None:
        super().__init__()
        self.module, self.classes = module, list(classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scores, in the order of their classes, and all features."""
        scores, features = self.module(images)
        return scores.flatten(1)[:, self.classes], features


def leave_out_constants(lowered: LoweredModel, classes: Sequence[int], count: int) -> LoweredModel:
    """Keep the scores of `classes`, out of `count`."""
    if len(classes) == count:
        return lowered
    return replace(lowered, module=ComputedScores(lowered.module, classes))


def renumber_request(request: ForgetRequest, classes: Sequence[int]) -> ForgetRequest:
    """Return the request as classes are numbered without the constant ones. Raises
    UnsupportedModelError where it names one of those.
    """
    missing = [index for index in request.forget if index not in classes]
    if missing:
        message = f"the score of class {missing[0]} is a constant in this graph"
        raise UnsupportedModelError(message, remedy="Such a class has nothing to forget.")
    return ForgetRequest(
        forget=tuple(classes.index(index) for index in request.forget), num_classes=len(classes)
    )
