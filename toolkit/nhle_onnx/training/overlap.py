"""How much boxes overlap, as tensors that can be trained through."""

import torch
from torch import Tensor

_TINY = 1e-6


def measure_overlaps(one: Tensor, other: Tensor) -> Tensor:
    """Return the intersection over union of boxes [..., 4] with others, as far as both reach."""
    start = torch.maximum(one[..., :2], other[..., :2])
    end = torch.minimum(one[..., 2:], other[..., 2:])
    shared = (end - start).clamp_min(0).prod(-1)
    areas = [(box[..., 2:] - box[..., :2]).clamp_min(0).prod(-1) for box in (one, other)]
    return shared / (areas[0] + areas[1] - shared).clamp_min(_TINY)
