"""Average precision of detections, as COCO defines it: ten overlaps, 101 points of recall.

Lin et al., "Microsoft COCO", 2014. At most 100 detections of an image count, as there.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nhle_onnx.detection.overlap import measure_iou
from nhle_onnx.values.boxes import Boxes

OVERLAPS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0.0, 1.0, 101)
_MOST = 100  # detections of an image

Floats = npt.NDArray[np.float64]


def measure_precision(found: Sequence[Boxes], truth: Sequence[Boxes], index: int) -> Floats | None:
    """Average precision of class `index` at each overlap [10]; None where it has no box."""
    count = sum(int((each.classes == index).sum()) for each in truth)
    if not count:
        return None
    matched = [_match(*pair, index) for pair in zip(found, truth, strict=True)]
    scores = np.concatenate([each.scores for each in matched])
    hits = np.concatenate([each.hits for each in matched], 1)
    order = np.argsort(-scores, kind="stable")
    return np.array([_integrate(row[order], count) for row in hits])


class _Matched(NamedTuple):
    """Scores [D] of one image's detections, and whether each is right at each overlap [10, D]."""

    scores: npt.NDArray[np.float32]
    hits: npt.NDArray[np.bool_]


def _match(found: Boxes, truth: Boxes, index: int) -> _Matched:
    """Give each detection, best first, the free box that it overlaps most, at each overlap."""
    own = np.flatnonzero(found.classes == index)
    own = own[np.argsort(-found.scores[own], kind="stable")][:_MOST]
    boxes = truth.corners[truth.classes == index]
    overlaps = measure_iou(found.corners[own], boxes)
    hits = np.zeros((len(OVERLAPS), len(own)), bool)
    free = np.ones((len(OVERLAPS), len(boxes)), bool)
    levels = np.arange(len(OVERLAPS))
    for place in np.flatnonzero(overlaps.max(1, initial=0.0) >= OVERLAPS[0]):
        candidates = np.where(free, overlaps[place], -1.0)
        # of equal overlaps COCO takes the last
        best = len(boxes) - 1 - candidates[:, ::-1].argmax(1)
        hits[:, place] = candidates[levels, best] >= OVERLAPS
        free[levels[hits[:, place]], best[hits[:, place]]] = False
    return _Matched(found.scores[own], hits)


def _integrate(hits: npt.NDArray[np.bool_], count: int) -> float:
    """Return the mean precision at 101 recalls, each the best at that recall or a higher one."""
    right = np.cumsum(hits)
    precision = right / np.arange(1, len(hits) + 1)
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)  # 0 where none reaches it
    return float(best[np.searchsorted(right / count, _RECALLS, side="left")].mean())
