"""Windows over the spatial axes: what convolution and pooling share."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from nhle_onnx.lowering.node import Node, recorded

_SAME = {"SAME_UPPER", "SAME_LOWER"}


class Window(NamedTuple):
    """A window's extents, its padding (all begins, then all ends), and its rounding."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    auto_pad: str
    is_ceil: bool

    @property
    def spans(self) -> tuple[int, ...]:
        """How much of each axis the dilated kernel covers."""
        pairs = zip(self.kernel, self.dilations, strict=True)
        return tuple((extent - 1) * dilation + 1 for extent, dilation in pairs)


def read_window(node: Node, kernel: Sequence[int]) -> Window:
    """Read a node's window; SAME padding with strides of 1 needs no input shape."""
    rank = len(kernel)
    window = Window(
        kernel=tuple(kernel),
        strides=tuple(node.get("strides") or [1] * rank),
        dilations=tuple(node.get("dilations") or [1] * rank),
        pads=tuple(node.get("pads") or [0] * (2 * rank)),
        auto_pad=node.get("auto_pad", "NOTSET"),
        is_ceil=bool(node.get("ceil_mode", 0)),
    )
    if window.auto_pad == "VALID":
        return window._replace(pads=(0,) * (2 * rank), auto_pad="NOTSET")
    if window.auto_pad in _SAME and set(window.strides) == {1}:
        pads = find_same_pads(window, (1,) * rank)
        return window._replace(pads=pads, auto_pad="NOTSET")
    return window


def find_same_pads(window: Window, extents: Sequence[int]) -> tuple[int, ...]:
    """Find padding for ceil(extent / stride) positions; the odd one is last for SAME_UPPER."""
    totals = [
        max((-(-extent // stride) - 1) * stride + span - extent, 0)
        for extent, stride, span in zip(extents, window.strides, window.spans, strict=True)
    ]
    return split_totals(totals, is_upper=window.auto_pad == "SAME_UPPER")


def split_totals(totals: Sequence[int], *, is_upper: bool) -> tuple[int, ...]:
    """Split totals into begins and ends; the odd one is at the end for SAME_UPPER."""
    smaller = tuple(total // 2 for total in totals)
    larger = tuple(total - total // 2 for total in totals)
    return (*smaller, *larger) if is_upper else (*larger, *smaller)


def find_even_padding(window: Window) -> tuple[int, ...] | None:
    """Find the padding of each axis if it is known while lowering and equal at both ends."""
    rank = len(window.kernel)
    begins, ends = window.pads[:rank], window.pads[rank:]
    return begins if begins == ends and window.auto_pad not in _SAME else None


@recorded
def pad_window(x: Tensor, window: Window, fill: float) -> Tensor:
    """Pad the input, so that the windows need no further padding."""
    extents = x.shape[2:]
    pads = fit_ceil(window, find_pads(window, extents), extents)
    return functional.pad(x, to_torch_pad(pads), value=fill) if any(pads) else x


def find_pads(window: Window, extents: Sequence[int]) -> tuple[int, ...]:
    """Find the padding that the node asks for."""
    return find_same_pads(window, extents) if window.auto_pad in _SAME else window.pads


def fit_ceil(window: Window, pads: tuple[int, ...], extents: Sequence[int]) -> tuple[int, ...]:
    """Extend padding to the end of the last window, which must not start in the end padding."""
    if not window.is_ceil:
        return pads
    rank = len(window.kernel)
    ends = []
    for axis, (extent, stride) in enumerate(zip(extents, window.strides, strict=True)):
        begin, end = pads[axis], pads[axis + rank]
        free = begin + extent + end - window.spans[axis]
        last = -(-free // stride) * stride
        last -= stride if last >= begin + extent else 0
        ends.append(end + last - free)
    return (*pads[:rank], *ends)


def to_torch_pad(pads: Sequence[int]) -> list[int]:
    """Convert ONNX's order (begins, ends, first axis first) to torch's (pairs, last axis first)."""
    rank = len(pads) // 2
    pairs = [(pads[axis], pads[axis + rank]) for axis in reversed(range(rank))]
    return list(itertools.chain.from_iterable(pairs))
