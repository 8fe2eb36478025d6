"""From a detector's tensors to boxes and scores, and to what it detects.

The arithmetic works on arrays and on torch tensors, so that training reads what is judged.
"""

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nhle_onnx.detection.overlap import suppress
from nhle_onnx.values.boxes import Boxes
from nhle_onnx.values.detector import BoxTensor, Detector, ScoreTensor

LEAST_SCORE = 1e-3  # of a detection that counts, as in the field's evaluations
OVERLAP = 0.6  # beyond which a worse box of the same class is removed
MOST = 300  # detections in an image

Array = npt.NDArray[np.float32]


class Answers(NamedTuple):
    """Boxes [N, A, 4] as left, top, right, bottom in pixels, and scores [N, A, C]."""

    boxes: Any
    scores: Any


def read_answers(
    detector: Detector,
    boxes: Any,  # noqa: ANN401 - arrays, or tensors of torch
    scores: Any,  # noqa: ANN401
    extents: tuple[int, int],
    xp: ModuleType = np,
) -> Answers:
    """Read the two tensors, for images of `extents`, height and width; `xp` is numpy or torch."""
    return Answers(
        read_corners(detector.boxes, boxes, extents, xp), read_scores(detector.scores, scores, xp)
    )


def read_corners(
    layout: BoxTensor,
    tensor: Any,  # noqa: ANN401 - an array, or a tensor of torch
    extents: tuple[int, int],
    xp: ModuleType = np,
) -> Any:  # noqa: ANN401
    """Return boxes [N, A, 4] as left, top, right, bottom in pixels."""
    rows = _turn(tensor, layout.axis)
    first, second, third, fourth = (rows[..., place] for place in range(4))
    sides = [first, second, third, fourth]
    if layout.form == "centre":
        sides = [first - third / 2, second - fourth / 2, first + third / 2, second + fourth / 2]
    if layout.form == "corners-yx":
        sides = [second, first, fourth, third]
    height, width = extents
    factors = (width, height, width, height) if layout.is_relative else (1, 1, 1, 1)
    scaled = [side * factor for side, factor in zip(sides, factors, strict=True)]
    return xp.stack(scaled, -1)


def read_scores(layout: ScoreTensor, tensor: Any, xp: ModuleType = np) -> Any:  # noqa: ANN401
    """Return scores [N, A, C] between 0 and 1."""
    rows = _turn(tensor, layout.axis)
    scores = rows[..., [*layout.columns]]
    if layout.activation == "softmax":
        others = () if layout.background is None else (layout.background,)
        competing = rows[..., [*layout.columns, *others]]
        best = xp.amax(competing, -1)[..., None]
        return xp.exp(scores - best) / xp.exp(competing - best).sum(-1)[..., None]
    if layout.activation == "sigmoid":
        scores = 1 / (1 + xp.exp(-scores))
    return scores if layout.objectness is None else scores * rows[..., [layout.objectness]]


def _turn(tensor: Any, axis: int) -> Any:  # noqa: ANN401 - an array, or a tensor of torch
    """Return a tensor with its classes, or a box's numbers, on the last axis."""
    return tensor.swapaxes(1, 2) if axis == 1 else tensor


def list_detections(answers: Answers) -> list[Boxes]:
    """List what is detected in each image, best first."""
    return [_detect(*pair) for pair in zip(answers.boxes, answers.scores, strict=True)]


def _detect(boxes: Array, scores: Array) -> Boxes:
    places, classes = np.nonzero(scores >= LEAST_SCORE)
    found = Boxes(boxes[places], classes, scores[places, classes])
    kept = suppress(found, OVERLAP)
    return kept.choose(np.arange(len(kept.scores))[:MOST])
