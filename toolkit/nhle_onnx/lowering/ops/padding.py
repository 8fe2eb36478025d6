"""Padding of any axes."""

import torch
from torch import Tensor, fx
from torch.nn import functional

from nhle_onnx.lowering.node import Ints, Node, recorded, to_constant, to_ints, to_ints_if_known
from nhle_onnx.lowering.ops.spatial import to_torch_pad

_TORCH_MODES = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}
_NUM_OUTER = 2  # axes that torch pads only with a constant: batch and channels
_RANKS = (3, 4, 5)  # axes that torch pads in other modes


def pad(
    node: Node,
    x: Tensor,
    pads: Tensor | None = None,
    value: Tensor | None = None,
    axes: Tensor | None = None,
) -> Tensor:
    """Pad: by attributes up to opset 10, inputs after it; negative amounts cut."""
    amounts = tuple(node.get("pads")) if pads is None else to_ints_if_known(pads)
    mode = node.get("mode", "constant")
    if mode == "constant":
        filler = node.get("value", 0.0) if value is None else to_constant(value).item()
        return _pad_constant(x, amounts, None if axes is None else tuple(to_ints(axes)), filler)
    if mode not in _TORCH_MODES:
        raise node.refuse(f"in mode {mode}")
    return pad_from_inside(x, amounts, None if axes is None else tuple(to_ints(axes)), mode)


def _pad_constant(x: Tensor, amounts: Ints, axes: tuple[int, ...] | None, value: float) -> Tensor:
    if axes is None and not isinstance(amounts, fx.Proxy):
        return functional.pad(x, to_torch_pad(to_ints(amounts)), value=value)
    return pad_axes(x, amounts, axes, value)


@recorded
def pad_axes(x: Tensor, amounts: Ints, axes: tuple[int, ...] | None, value: float) -> Tensor:
    """Pad the listed axes, or all, with a constant."""
    return functional.pad(x, to_torch_pad(_spread(x, amounts, axes)), value=value)


@recorded
def pad_from_inside(x: Tensor, amounts: Ints, axes: tuple[int, ...] | None, mode: str) -> Tensor:
    """Pad with the input's own values, by torch's function where it supports these axes."""
    pads = _spread(x, amounts, axes)
    pairs = list(zip(pads[: x.ndim], pads[x.ndim :], strict=True))
    inner = to_torch_pad(pads)[: -2 * _NUM_OUTER]
    if x.ndim in _RANKS and not any(map(any, pairs[:_NUM_OUTER])) and min(pads) >= 0:
        return functional.pad(x, inner, _TORCH_MODES[mode])
    for axis, (begin, end) in enumerate(pairs):
        if begin or end:
            extent = x.shape[axis]
            places = torch.arange(-begin, extent + end, device=x.device)
            x = x.index_select(axis, _find_sources(places, extent, mode))
    return x


def _find_sources(places: Tensor, extent: int, mode: str) -> Tensor:
    """Return the index of the element that each place shows: before, in, or after an axis."""
    if mode == "edge":
        return places.clamp(0, extent - 1)
    if mode == "wrap":
        return places % extent
    last = max(extent - 1, 1)
    return last - (places % (2 * last) - last).abs()


def _spread(x: Tensor, amounts: Ints, axes: tuple[int, ...] | None) -> list[int]:
    """Spread amounts over all axes, all begins then all ends."""
    given = to_ints(amounts)
    if axes is None:
        return given
    pads = [0] * (2 * x.ndim)
    for place, axis in enumerate(axes):
        pads[axis % x.ndim] = given[place]
        pads[axis % x.ndim + x.ndim] = given[place + len(axes)]
    return pads
