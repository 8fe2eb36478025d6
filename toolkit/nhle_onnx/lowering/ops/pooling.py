"""Pooling over the spatial axes."""

import torch
from torch import Tensor
from torch.nn import functional

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.lowering.node import Node
from nhle_onnx.lowering.ops.spatial import read_pads, read_symmetric_padding, to_torch_pad

_MAX_POOLS = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_AVERAGE_POOLS = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


def global_average_pool(node: Node, x: Tensor) -> Tensor:
    """GlobalAveragePool over the two spatial axes, kept as ones."""
    del node
    return torch.mean(x, dim=(2, 3), keepdim=True)


def global_max_pool(node: Node, x: Tensor) -> Tensor:
    """GlobalMaxPool over the two spatial axes, kept as ones."""
    del node
    return torch.amax(x, dim=(2, 3), keepdim=True)


def max_pool(node: Node, x: Tensor) -> Tensor:
    """MaxPool: torch's padding is -inf too, and uneven padding is applied first."""
    kernel = tuple(node.get("kernel_shape"))
    padding = _pad_or_none(node, kernel)
    if padding is None:
        x = functional.pad(x, to_torch_pad(read_pads(node, len(kernel))), value=-torch.inf)
    result: Tensor = _MAX_POOLS[len(kernel)](
        x,
        kernel,
        stride=tuple(node.get("strides", [1] * len(kernel))),
        padding=padding or 0,
        dilation=tuple(node.get("dilations", [1] * len(kernel))),
        ceil_mode=bool(node.get("ceil_mode", 0)),
    )
    return result


def average_pool(node: Node, x: Tensor) -> Tensor:
    """AveragePool; uneven padding only where it counts in the mean."""
    kernel = tuple(node.get("kernel_shape"))
    counts_padding = bool(node.get("count_include_pad", 0))
    padding = _pad_or_none(node, kernel)
    if set(node.get("dilations", [1])) != {1} or (padding is None and not counts_padding):
        message = f"{node.name}: dilated or unevenly padded AveragePool is not supported yet"
        raise UnsupportedModelError(message)
    if padding is None:
        x = functional.pad(x, to_torch_pad(read_pads(node, len(kernel))))
    result: Tensor = _AVERAGE_POOLS[len(kernel)](
        x,
        kernel,
        stride=tuple(node.get("strides", [1] * len(kernel))),
        padding=padding or 0,
        ceil_mode=bool(node.get("ceil_mode", 0)),
        count_include_pad=counts_padding,
    )
    return result


def _pad_or_none(node: Node, kernel: tuple[int, ...]) -> tuple[int, ...] | None:
    """Padding that torch's pooling takes: even, and at most half of the kernel."""
    padding = read_symmetric_padding(node, len(kernel))
    fits = padding is not None and all(
        2 * pad <= extent for pad, extent in zip(padding, kernel, strict=True)
    )
    return padding if fits else None
