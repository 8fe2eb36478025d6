"""Resize and Upsample."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, fx
from torch.nn import functional

from nhle_onnx.lowering.node import Ints, Node, recorded, to_floats, to_ints, to_ints_if_known
from nhle_onnx.lowering.ops.resampling import (
    BEFORE_OPSET_11,
    CROP,
    Axis,
    Sampling,
    build_matrix,
    find_outside,
)

_LINEAR_OF_RANK = {3: "linear", 4: "bilinear", 5: "trilinear"}
_TORCH_PLACES = {"half_pixel", "pytorch_half_pixel", "align_corners"}
_TORCH_CUBIC = -0.75
_EXACT = 1e-4  # of an element
_HAS_ROI = 11  # Resize, since this opset


def upsample(node: Node, x: Tensor, scales: Tensor | None = None) -> Tensor:
    """Upsample: scales are an attribute up to opset 8, an input in opset 9."""
    given = torch.tensor(node.get("scales")) if scales is None else scales
    sampling = Sampling(node.get("mode", "nearest"), "asymmetric", BEFORE_OPSET_11)
    return scale_axes(x, _to_floats_if_known(given), None, None, sampling)


def resize(node: Node, x: Tensor, *inputs: Tensor | None) -> Tensor:
    """Resize: in opset 10 as Upsample; since opset 11 with `roi` and `sizes`."""
    if node.opset < _HAS_ROI:
        return upsample(node, x, inputs[0])
    roi, scales, sizes = (*inputs, None, None, None)[:3]
    sampling = Sampling(
        mode=node.get("mode", "nearest"),
        place=node.get("coordinate_transformation_mode", "half_pixel"),
        nearest=node.get("nearest_mode", "round_prefer_floor"),
        cubic=node.get("cubic_coeff_a", _TORCH_CUBIC),
        outside=node.get("extrapolation_value", 0.0),
        excludes_outside=bool(node.get("exclude_outside", 0)),
        is_antialiased=bool(node.get("antialias", 0)),
    )
    axes = tuple(node.get("axes")) if "axes" in node.attributes else None
    cut = tuple(to_floats(roi)) if roi is not None and sampling.place == CROP else None
    if sizes is None and scales is not None:
        return scale_axes(x, _to_floats_if_known(scales), axes, cut, sampling)
    if sizes is None:
        raise node.refuse("without scales and sizes")
    policy = node.get("keep_aspect_ratio_policy", "stretch")
    return size_axes(x, to_ints_if_known(sizes), axes, cut, sampling, policy)


def _to_floats_if_known(value: Tensor) -> Tensor | tuple[float, ...]:
    return value if isinstance(value, fx.Proxy) else tuple(to_floats(value))


@recorded
def scale_axes(
    x: Tensor,
    scales: Tensor | Sequence[float],
    axes: tuple[int, ...] | None,
    roi: tuple[float, ...] | None,
    sampling: Sampling,
) -> Tensor:
    """Resize by scales; extents are rounded down, in the precision of the scales."""
    factors = scales if isinstance(scales, Sequence) else scales.tolist()
    dims = range(x.ndim) if axes is None else [axis % x.ndim for axis in axes]
    plan = []
    for place, (dim, factor) in enumerate(zip(dims, factors, strict=True)):
        start, end = (0.0, 1.0) if roi is None else (roi[place], roi[place + len(factors)])
        wide = np.float32(x.shape[dim]) * np.float32(end - start) * np.float32(factor)
        plan.append(Axis(dim, x.shape[dim], int(np.floor(wide)), factor, (start, end)))
    return resample(x, plan, sampling)


@recorded
def size_axes(
    x: Tensor,
    sizes: Ints,
    axes: tuple[int, ...] | None,
    roi: tuple[float, ...] | None,
    sampling: Sampling,
    policy: str,
) -> Tensor:
    """Resize to sizes; if the aspect ratio is kept, one of them is only a bound."""
    extents = to_ints(sizes)
    dims = range(x.ndim) if axes is None else [axis % x.ndim for axis in axes]
    factors = [extent / x.shape[dim] for extent, dim in zip(extents, dims, strict=True)]
    if policy != "stretch":
        factors = [min(factors) if policy == "not_larger" else max(factors)] * len(factors)
        extents = [
            int(x.shape[dim] * factor + 0.5) for dim, factor in zip(dims, factors, strict=True)
        ]
    plan = []
    for place, (dim, extent, factor) in enumerate(zip(dims, extents, factors, strict=True)):
        cut = (0.0, 1.0) if roi is None else (roi[place], roi[place + len(extents)])
        plan.append(Axis(dim, x.shape[dim], extent, factor, cut))
    return resample(x, plan, sampling)


def resample(x: Tensor, plan: Sequence[Axis], sampling: Sampling) -> Tensor:
    """Resample by torch's own function where it does the same, else axis by axis."""
    plan = [axis for axis in plan if axis.scale != 1.0 or sampling.place == CROP]
    if not plan:
        return x
    mode = find_torch_mode(x, plan, sampling)
    if mode is not None:
        extents = list(x.shape)
        for axis in plan:
            extents[axis.dim] = axis.after
        aligned = sampling.place == "align_corners" if mode != "nearest" else None
        return functional.interpolate(x, extents[2:], mode=mode, align_corners=aligned)
    dtype = x.dtype
    x = x if x.is_floating_point() else x.float()
    for axis in plan:
        matrix = build_matrix(axis, sampling).to(x)
        x = torch.tensordot(x, matrix, ([axis.dim], [1])).movedim(-1, axis.dim)
        if sampling.place == CROP:
            outside = find_outside(axis).nonzero().reshape(-1).to(x.device)
            x = x.index_fill(axis.dim, outside, sampling.outside)
    return x.to(dtype)


def find_torch_mode(x: Tensor, plan: Sequence[Axis], sampling: Sampling) -> str | None:
    """Return torch's name for the interpolation, if it has the same one."""
    is_plain = all(
        axis.dim > 1 and axis.after > 1 and abs(axis.after - axis.before * axis.scale) < _EXACT
        for axis in plan
    )
    has_extras = sampling.excludes_outside or sampling.is_antialiased
    if not is_plain or has_extras or x.ndim not in _LINEAR_OF_RANK:
        return None
    if sampling.mode == "nearest":
        by_floor = (
            {"floor", BEFORE_OPSET_11} if all(axis.scale >= 1 for axis in plan) else {"floor"}
        )
        is_torch = sampling.place == "asymmetric" and sampling.nearest in by_floor
        return "nearest" if is_torch and x.is_floating_point() else None
    if sampling.place not in _TORCH_PLACES:
        return None
    if sampling.mode == "linear":
        return _LINEAR_OF_RANK[x.ndim]
    is_bicubic = x.ndim == 4 and sampling.cubic == _TORCH_CUBIC  # noqa: PLR2004 - an image
    return "bicubic" if is_bicubic else None
