"""How much boxes overlap, and the suppression of those that overlap a better one."""

import numpy as np
import numpy.typing as npt

from nhle_onnx.values.boxes import Boxes

Floats = npt.NDArray[np.float64]


def measure_iou(one: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> Floats:
    """Return the intersection over union of each box of [M, 4] with each of [K, 4]."""
    first, second = one.astype(np.float64)[:, None], other.astype(np.float64)[None]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(
        first[..., :2], second[..., :2]
    )
    shared = sides.clip(0).prod(-1)
    areas = [(box[..., 2:] - box[..., :2]).clip(0).prod(-1) for box in (first, second)]
    union = areas[0] + areas[1] - shared
    ratio: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return ratio


def suppress(boxes: Boxes, overlap: float) -> Boxes:
    """Keep boxes, best first, that overlap no better one of their class by more than `overlap`."""
    order = np.argsort(-boxes.scores, kind="stable")
    kept = [
        order[own][_pick(boxes.corners[order[own]], overlap)]
        for index in np.unique(boxes.classes)
        if len(own := np.flatnonzero(boxes.classes[order] == index))
    ]
    chosen = np.concatenate([np.empty(0, np.intp), *kept])
    return boxes.choose(chosen[np.argsort(-boxes.scores[chosen], kind="stable")])


def _pick(corners: npt.NDArray[np.float32], overlap: float) -> npt.NDArray[np.intp]:
    """Return the places of the boxes that stay; boxes come best first."""
    clashes = np.tril(measure_iou(corners, corners) > overlap, -1)
    is_kept = np.asarray(~clashes.any(1))
    for place in np.flatnonzero(~is_kept):
        is_kept[place] = not (clashes[place] & is_kept).any()
    return np.flatnonzero(is_kept)
