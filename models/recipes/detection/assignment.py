"""Which locations learn which box: task-aligned assignment (Feng et al., TOOD, 2021)."""

from typing import NamedTuple

import torch
from torch import Tensor

_TOP = 10
_IOU_POWER = 6
_SMALL = 1e-9


class Truth(NamedTuple):
    """Boxes [N, M, 4] as corners in pixels, classes [N, M], and whether each is there [N, M]."""

    boxes: Tensor
    classes: Tensor
    is_there: Tensor


class Assigned(NamedTuple):
    """For each location: scores to reach [N, A, C], its box [N, A, 4], whether it has one."""

    scores: Tensor
    boxes: Tensor
    has_box: Tensor


def measure_iou(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of boxes [..., 4], which are broadcast."""
    start = torch.maximum(one[..., :2], other[..., :2])
    end = torch.minimum(one[..., 2:], other[..., 2:])
    shared = (end - start).clamp_min(0).prod(-1)
    areas = [(box[..., 2:] - box[..., :2]).clamp_min(0).prod(-1) for box in (one, other)]
    return shared / (areas[0] + areas[1] - shared + _SMALL)


def measure_giou(one: Tensor, other: Tensor) -> Tensor:
    """Generalized intersection over union of boxes [N, 4] and [N, 4]."""
    start = torch.minimum(one[..., :2], other[..., :2])
    end = torch.maximum(one[..., 2:], other[..., 2:])
    hull = (end - start).clamp_min(0).prod(-1) + _SMALL
    areas = [(box[..., 2:] - box[..., :2]).clamp_min(0).prod(-1) for box in (one, other)]
    iou = measure_iou(one, other)
    union = (areas[0] + areas[1]) / (1 + iou)
    return iou - (hull - union) / hull


@torch.no_grad()
def assign(scores: Tensor, boxes: Tensor, points: Tensor, truth: Truth) -> Assigned:
    """Assign to each box the locations inside it that predict it best.

    Takes scores [N, A, C], boxes [N, A, 4] and points [A, 2].
    """
    count = scores.shape[2]
    inside = _is_inside(points, truth.boxes) & truth.is_there[..., None]
    iou = measure_iou(truth.boxes[:, :, None], boxes[:, None])
    chosen = truth.classes[:, :, None].expand(-1, -1, scores.shape[1])
    own = scores.transpose(1, 2).gather(1, chosen)
    fit = own.sqrt() * iou.pow(_IOU_POWER) * inside
    best = torch.zeros_like(fit).scatter_(2, fit.topk(_TOP, 2).indices, 1.0)
    taken = best * inside
    taken = taken * (
        torch.where(taken > 0, iou, -1.0) == iou.where(taken > 0, -1.0).amax(1)[:, None]
    )
    fit = fit * taken
    scaled = fit / (fit.amax(2, keepdim=True) + _SMALL) * (iou * taken).amax(2, keepdim=True)
    owner = taken.argmax(1)
    has_box = taken.amax(1) > 0
    classes = truth.classes.gather(1, owner)
    hot = torch.nn.functional.one_hot(classes, count) * has_box[..., None]
    return Assigned(
        hot * scaled.amax(1)[..., None],
        truth.boxes.gather(1, owner[..., None].expand(-1, -1, 4)),
        has_box,
    )


def _is_inside(points: Tensor, boxes: Tensor) -> Tensor:
    """Whether each point [A, 2] is inside each box [N, M, 4]: [N, M, A]."""
    near = points[None, None] - boxes[:, :, None, :2]
    far = boxes[:, :, None, 2:] - points[None, None]
    return torch.cat([near, far], 3).amin(3) > 0
