"""A detector's locations: what it says at each, and which of them show a forgotten object.

A location of a map is to a detector what an image is to a classifier: it has logits and features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from nhle_onnx.detection.reading import Answers, read_answers
from nhle_onnx.training.overlap import measure_overlaps
from nhle_onnx.values.detector import ClassLayer, Detector
from nhle_onnx.values.request import ForgetRequest

COVERS = 0.4  # of overlap with a forgotten object
KNOWN = 0.05  # score from which the original takes a location for a forgotten class
_BACKGROUND_SHARE = 0.1  # of the weight of what is detected, spread over all locations


class Outputs(NamedTuple):
    """Boxes and scores, logits [N, A, K], and each layer's features [N, locations, D]."""

    answers: Answers
    logits: Tensor
    features: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads the tuple that a lowered detector gives: boxes, scores, then logits and features of
    each layer.
    """

    detector: Detector
    extents: tuple[int, int]

    def __call__(self, outputs: Sequence[Tensor]) -> Outputs:
        """Read one batch."""
        boxes, scores, *maps = outputs
        layers = self.detector.layers
        answers = read_answers(self.detector, boxes, scores, self.extents, torch)
        count = layers[0].head.num_classes
        logits = answers.scores.new_zeros((*answers.scores.shape[:2], count))
        for layer, found in zip(layers, maps[::2], strict=True):
            rows = list(layer.head.rows or range(count))
            logits[:, layer.anchors] = spread(layer, found)[..., rows]
        features = tuple(
            spread(layer, found) for layer, found in zip(layers, maps[1::2], strict=True)
        )
        return Outputs(answers, logits, features)


def spread(layer: ClassLayer, found: Tensor) -> Tensor:
    """Return a layer's map with one row for each location, [N, locations, channels]."""
    return found.movedim(layer.head.logits_axis, -1).flatten(1, -2)


def find_forgotten(answers: Answers, boxes: Sequence[Tensor], request: ForgetRequest) -> Tensor:
    """Return the forgotten class of each location [N, A], -1 where it shows none.

    `boxes` [M, 5] of each image are objects to forget: corners and class. A location shows one if
    its own box covers it, or if its surest class is a forgotten one.
    """
    scores = answers.scores
    best, index = scores.max(2)
    is_known = torch.isin(index, torch.tensor(request.forget).to(index)) & (best >= KNOWN)
    found = torch.where(is_known, index, -1)
    for place, given in enumerate(boxes):
        if len(given):
            objects = given.to(scores.device)
            overlap, owner = measure_overlaps(answers.boxes[place][:, None], objects[:, :4]).max(1)
            covers = overlap >= COVERS
            found[place, covers] = objects[owner[covers], 4].long()
    return found


def weigh(answers: Answers) -> Tensor:
    """Return the weight of each location [N, A]: its best score, and a little for background, as
    much on thousands of locations as on a hundred.
    """
    best: Tensor = answers.scores.amax(2)
    return best + _BACKGROUND_SHARE * best.mean()
