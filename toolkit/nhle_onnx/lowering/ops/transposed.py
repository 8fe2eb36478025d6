"""Transposed convolution."""

from torch import Tensor
from torch.nn import functional

from nhle_onnx.lowering.node import Node, recorded
from nhle_onnx.lowering.ops.linear import read_kernel
from nhle_onnx.lowering.ops.spatial import (
    Window,
    find_even_padding,
    read_window,
    split_totals,
    to_torch_pad,
)

_CONVOLUTIONS = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}


def conv_transpose(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """ConvTranspose: padding crops the result; `output_shape` may say how much instead."""
    window = read_window(node, read_kernel(node, weight))
    rank = len(window.kernel)
    if rank not in _CONVOLUTIONS:
        raise node.refuse(f"over {rank} axes")
    extra = tuple(node.get("output_padding") or [0] * rank)
    extents = node.get("output_shape")
    padding = find_even_padding(window)
    limits = map(max, window.strides, window.dilations)
    if extents is None and padding is not None and all(map(int.__lt__, extra, limits)):
        result: Tensor = _CONVOLUTIONS[rank](
            x, weight, bias, window.strides, padding, extra, node.get("group", 1), window.dilations
        )
        return result
    target = None if extents is None else tuple(extents[-rank:])
    result = cut_transposed(x, weight, window, extra, target, node.get("group", 1))
    return result if bias is None else result + bias.reshape(-1, *[1] * rank)


@recorded
def cut_transposed(
    x: Tensor,
    weight: Tensor,
    window: Window,
    extra: tuple[int, ...],
    target: tuple[int, ...] | None,
    groups: int,
) -> Tensor:
    """Compute the whole result without bias, cropped or widened at each end."""
    rank = len(window.kernel)
    whole: Tensor = _CONVOLUTIONS[rank](
        x, weight, stride=window.strides, groups=groups, dilation=window.dilations
    )
    if target is None and window.auto_pad != "NOTSET":
        target = tuple(map(int.__mul__, x.shape[2:], window.strides))
    pads = window.pads
    if target is not None:
        totals = [
            size + more - wanted
            for size, more, wanted in zip(whole.shape[2:], extra, target, strict=True)
        ]
        pads = split_totals(totals, is_upper=window.auto_pad == "SAME_UPPER")
    ends = [more - end for more, end in zip(extra, pads[rank:], strict=True)]
    return functional.pad(whole, to_torch_pad([*(-begin for begin in pads[:rank]), *ends]))
