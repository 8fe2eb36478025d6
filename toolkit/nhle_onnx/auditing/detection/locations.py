"""A detector's locations: which of them show an object, and which are looked at."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nhle_onnx.auditing.context import Array
from nhle_onnx.auditing.detection.context import NO_CLASS, Indices, Locations
from nhle_onnx.detection.overlap import measure_iou
from nhle_onnx.detection.reading import Answers
from nhle_onnx.values.boxes import Boxes
from nhle_onnx.values.detector import ClassLayer
from nhle_onnx.values.request import ForgetRequest

UNSURE = -2  # of a location whose box covers an object, but worse than others do
_COVERS = 0.5  # of overlap, from which a box can show an object
_NEARLY = 0.9  # of the best overlap with an object, from which a box shows it
_TOUCHES = 0.5  # of the best overlap, below which it does not
_MOST = 12000  # locations of a layer of each kind
_FEWEST, _MANY = 4, 80  # of each kind in an image


def label_locations(boxes: Array, truth: Boxes) -> Indices:
    """Return the class of the object that each location's own box [A, 4] covers about as well as
    any does, `NO_CLASS` where it covers less than half as much of any, and `UNSURE` in between.
    """
    if not len(truth.classes):
        return np.full(len(boxes), NO_CLASS, np.int64)
    overlaps = measure_iou(boxes, truth.corners)
    found, own = overlaps.max(1), overlaps.argmax(1)
    best = np.maximum(overlaps.max(0)[own], _COVERS)
    labels: Indices = np.where(found >= _NEARLY * best, truth.classes[own], UNSURE)
    labels[found < _TOUCHES * best] = NO_CLASS
    return labels


def match_boxes(boxes: Array, truth: Boxes) -> Array:
    """Return the object's box that each location's own box covers most, [A, 4]."""
    if not len(truth.classes):
        return np.zeros_like(boxes)
    nearest: Array = truth.corners[measure_iou(boxes, truth.corners).argmax(1)]
    return nearest


def draw_locations(
    answers: Answers,
    truth: Sequence[Boxes],
    layers: Sequence[ClassLayer],
    request: ForgetRequest,
    places: range,
    seed: int,
) -> list[Locations]:
    """Draw locations of each layer in scenes, which begin at the first of `places`, to the last.

    They show a forgotten class, or are the surest of those that do not, or any others of these.
    """
    most = min(_MANY, max(_FEWEST, _MOST // places.stop))
    drawn: list[list[Locations]] = [[] for _ in layers]
    for place, (boxes, scores, given) in enumerate(
        zip(answers.boxes, answers.scores, truth, strict=True), places.start
    ):
        labels, rng = label_locations(boxes, given), np.random.default_rng((seed, place))
        for found, layer in zip(drawn, layers, strict=True):
            own, sure = labels[layer.anchors], scores[layer.anchors].max(1)
            found.append(_draw(own, sure, request, place, most, rng))
    return [join_locations(each) for each in drawn]


def _draw(
    labels: Indices,
    sure: Array,
    request: ForgetRequest,
    image: int,
    most: int,
    rng: np.random.Generator,
) -> Locations:
    shows = np.isin(labels, request.forget)
    own = rng.permutation(np.flatnonzero(shows))[:most]
    others = np.flatnonzero(~shows & (labels != UNSURE))
    others = others[np.argsort(-sure[others], kind="stable")]
    surest, rest = others[:most], others[most:]
    some = rng.permutation(rest)[:most]
    weights = [_stand_for(shows.sum(), own), np.ones(len(surest)), _stand_for(len(rest), some)]
    places = np.concatenate([own, surest, some])
    classes = np.where(shows[places], labels[places], NO_CLASS)
    return Locations(np.full(len(places), image), places, classes, np.concatenate(weights))


def _stand_for(count: int, drawn: Indices) -> npt.NDArray[np.float64]:
    """Return how many of `count` locations each drawn one stands for."""
    return np.full(len(drawn), count / max(1, len(drawn)))


def join_locations(parts: Sequence[Locations]) -> Locations:
    """Return the locations of several scenes as one."""
    return Locations(*map(np.concatenate, zip(*parts, strict=True)))
