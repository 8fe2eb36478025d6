"""Resampling one axis, as a matrix from its old places to its new ones."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

CROP = "tf_crop_and_resize"
BEFORE_OPSET_11 = "before opset 11"  # where the rule was not an attribute


class Sampling(NamedTuple):
    """The attributes of Resize that say where samples lie and how they are weighted."""

    mode: str
    place: str
    nearest: str
    cubic: float = -0.75
    outside: float = 0.0
    excludes_outside: bool = False
    is_antialiased: bool = False


class Axis(NamedTuple):
    """One axis to resample: its extents before and after, its scale, and the cropped part."""

    dim: int
    before: int
    after: int
    scale: float
    roi: tuple[float, float] = (0.0, 1.0)


def find_places(axis: Axis, rule: str) -> Tensor:
    """Find where each new place lies on the old axis, by `coordinate_transformation_mode`."""
    new = torch.arange(axis.after, dtype=torch.float64)
    last = axis.before - 1
    half_pixel = (new + 0.5) / axis.scale - 0.5
    wide = axis.scale * axis.before
    places = {
        "asymmetric": new / axis.scale,
        "align_corners": new * last / max(axis.after - 1, 1),
        "half_pixel": half_pixel,
        "half_pixel_symmetric": half_pixel + axis.before / 2 * (1 - axis.after / wide),
        "pytorch_half_pixel": half_pixel if axis.after > 1 else new,
        "tf_half_pixel_for_nn": (new + 0.5) / axis.scale,
        CROP: _find_cropped(axis, new),
    }
    return places[rule]


def _find_cropped(axis: Axis, new: Tensor) -> Tensor:
    start, end = (bound * (axis.before - 1) for bound in axis.roi)
    if axis.after == 1:
        return new + (start + end) / 2
    return start + new * (end - start) / (axis.after - 1)


def build_matrix(axis: Axis, sampling: Sampling) -> Tensor:
    """Return the weights of the old elements (columns) in each new one (rows)."""
    places = find_places(axis, sampling.place)
    if sampling.mode == "nearest":
        sources, weights = (
            _find_nearest(places, axis.scale, sampling.nearest),
            torch.ones_like(places),
        )
        sources, weights = sources.unsqueeze(1), weights.unsqueeze(1)
    else:
        sources, weights = _find_neighbours(places, axis.scale, sampling)
    if sampling.excludes_outside:
        weights = weights * ((sources >= 0) & (sources < axis.before))
        weights = weights / weights.sum(1, keepdim=True)
    matrix = torch.zeros(axis.after, axis.before, dtype=torch.float64)
    return matrix.scatter_add(1, sources.clamp(0, axis.before - 1), weights)


def find_outside(axis: Axis) -> Tensor:
    """Find which new places lie beyond the old axis."""
    places = find_places(axis, CROP)
    return (places < 0) | (places > axis.before - 1)


def _find_nearest(places: Tensor, scale: float, rule: str) -> Tensor:
    rounded = {
        BEFORE_OPSET_11: torch.floor(places) if scale >= 1 else torch.ceil(places),
        "floor": torch.floor(places),
        "ceil": torch.ceil(places),
        "round_prefer_ceil": torch.floor(places + 0.5),
        "round_prefer_floor": torch.ceil(places - 0.5),
    }
    return rounded[rule].long()


def _find_neighbours(places: Tensor, scale: float, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Find the old elements around each place, and their weights, which sum to one."""
    reach = 1 if sampling.mode == "linear" else 2
    shrinkage = min(scale, 1.0) if sampling.is_antialiased else 1.0
    width = math.ceil(reach / shrinkage)
    sources = torch.floor(places).long().unsqueeze(1) + torch.arange(1 - width, width + 1)
    distance = (sources - places.unsqueeze(1)).abs() * shrinkage
    if sampling.mode == "linear":
        weights = torch.clamp(1 - distance, min=0.0)
    else:
        weights = _weigh_cubic(distance, sampling.cubic)
    return sources, weights / weights.sum(1, keepdim=True)


def _weigh_cubic(distance: Tensor, a: float) -> Tensor:
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))  # noqa: PLR2004
