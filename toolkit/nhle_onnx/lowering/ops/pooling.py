"""Pooling over the spatial axes."""

import torch
from torch import Tensor
from torch.nn import functional

from nhle_onnx.lowering.node import Node, recorded, unpack
from nhle_onnx.lowering.ops.spatial import (
    Window,
    find_even_padding,
    find_pads,
    fit_ceil,
    pad_window,
    read_window,
    to_torch_pad,
)

_MAX_POOLS = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_AVERAGE_POOLS = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}
_CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


def max_pool(node: Node, x: Tensor) -> Tensor | tuple[Tensor, ...]:
    """MaxPool: torch pads with -inf too; padding that torch does not support is applied first."""
    window = _read_pool_window(node)
    if node.num_outputs > 1:
        return max_pool_with_indices(node, x, window)
    padding = _find_torch_padding(window)
    if padding is None:
        x = pad_window(x, window, -torch.inf)
    result: Tensor = _MAX_POOLS[len(window.kernel)](
        x,
        window.kernel,
        stride=window.strides,
        padding=padding or 0,
        dilation=window.dilations,
        ceil_mode=window.is_ceil and padding is not None,
    )
    return result


def max_pool_with_indices(node: Node, x: Tensor, window: Window) -> tuple[Tensor, ...]:
    """Return MaxPool's two outputs, for padding that torch's pooling supports."""
    padding = _find_torch_padding(window)
    if padding is None:
        raise node.refuse("with Indices and uneven padding")
    is_row_major = not node.get("storage_order", 0)
    return unpack(pool_with_indices(x, window, padding, is_row_major=is_row_major), 2)


@recorded
def pool_with_indices(
    x: Tensor, window: Window, padding: tuple[int, ...], *, is_row_major: bool
) -> tuple[Tensor, ...]:
    """Return largest values and their index in the whole input; torch counts within each plane."""
    pool = _MAX_POOLS[len(window.kernel)]
    values, places = pool(
        x, window.kernel, window.strides, padding, window.dilations, window.is_ceil,
        return_indices=True,
    )  # fmt: skip
    extents = x.shape[2:]
    if not is_row_major:
        subscripts = torch.unravel_index(places, extents)
        places = torch.zeros_like(places)
        for extent, subscript in zip(reversed(extents), reversed(subscripts), strict=True):
            places = places * extent + subscript
    planes = torch.arange(x.shape[0] * x.shape[1], device=x.device) * extents.numel()
    return values, places + planes.reshape(*x.shape[:2], *[1] * len(extents))


def average_pool(node: Node, x: Tensor) -> Tensor:
    """AveragePool; by sums over windows if dilated, or if torch does not support the padding."""
    window = _read_pool_window(node)
    counts_padding = bool(node.get("count_include_pad", 0))
    padding = _find_torch_padding(window)
    if padding is None or set(window.dilations) != {1}:
        return average_windows(x, window, counts_padding=counts_padding)
    result: Tensor = _AVERAGE_POOLS[len(window.kernel)](
        x,
        window.kernel,
        stride=window.strides,
        padding=padding,
        ceil_mode=window.is_ceil,
        count_include_pad=counts_padding,
    )
    return result


@recorded
def average_windows(x: Tensor, window: Window, *, counts_padding: bool) -> Tensor:
    """Average each window over the elements that count; those added by rounding up never do."""
    extents = x.shape[2:]
    pads = find_pads(window, extents)
    rounding = [wide - pad for wide, pad in zip(fit_ceil(window, pads, extents), pads, strict=True)]
    weight = 1.0 if counts_padding else 0.0
    counted = functional.pad(torch.ones_like(x[:1, :1]), to_torch_pad(pads), value=weight)
    counted = functional.pad(counted, to_torch_pad(rounding))
    return sum_windows(pad_window(x, window, 0.0), window) / sum_windows(counted, window)


def sum_windows(x: Tensor, window: Window) -> Tensor:
    """Sum over each window of every plane, without padding."""
    rank = len(window.kernel)
    planes = x.reshape(-1, 1, *x.shape[2:])
    ones = torch.ones((1, 1, *window.kernel), dtype=x.dtype, device=x.device)
    sums: Tensor = _CONVOLUTIONS[rank](
        planes, ones, stride=window.strides, dilation=window.dilations
    )
    return sums.reshape(*x.shape[:2], *sums.shape[2:])


def lp_pool(node: Node, x: Tensor) -> Tensor:
    """LpPool: the p-norm of each window, padded with zeros."""
    return norm_windows(x, _read_pool_window(node), float(node.get("p", 2)))


@recorded
def norm_windows(x: Tensor, window: Window, order: float) -> Tensor:
    """Return the norm of each window."""
    powers = pad_window(x, window, 0.0).abs() ** order
    return sum_windows(powers, window) ** (1 / order)


def _read_pool_window(node: Node) -> Window:
    window = read_window(node, node.get("kernel_shape"))
    if len(window.kernel) not in _MAX_POOLS:
        raise node.refuse(f"over {len(window.kernel)} axes")
    return window


def _find_torch_padding(window: Window) -> tuple[int, ...] | None:
    """Find padding that torch's pooling supports: even, and at most half of the kernel."""
    padding = find_even_padding(window)
    fits = padding is not None and all(
        2 * pad <= extent for pad, extent in zip(padding, window.kernel, strict=True)
    )
    return padding if fits else None
