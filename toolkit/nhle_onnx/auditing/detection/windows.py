"""What a convolution reads at single locations of its map."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from onnx import ModelProto, NodeProto, helper

from nhle_onnx.auditing.context import Array
from nhle_onnx.auditing.detection.context import Locations
from nhle_onnx.graph.head.head import Head
from nhle_onnx.values.detector import ClassLayer


class Window(NamedTuple):
    """A kernel's extents, its steps over the map and inside itself, and the padding before each
    axis; None if the operator pads by itself, `is_late` with the larger half before.
    """

    kernel: tuple[int, ...]
    strides: Sequence[int]
    dilations: Sequence[int]
    padding: Sequence[int] | None
    is_late: bool


def find_window(proto: ModelProto, layer: ClassLayer) -> Window | None:
    """Return the window of a layer's convolution; None for a layer that reads one location."""
    kernel = Head(proto, layer.head).read().weight.shape[2:]
    if "Conv" not in layer.head.op or np.prod(kernel) == 1:
        return None
    node = _find_node(proto, layer)
    given: Mapping[str, Any] = {
        each.name: helper.get_attribute_value(each) for each in node.attribute
    }
    ones = [1] * len(kernel)
    mode = given.get("auto_pad", b"NOTSET")
    pads = given.get("pads", [0] * 2 * len(kernel))[: len(kernel)]
    return Window(
        kernel=kernel,
        strides=given.get("strides", ones),
        dilations=given.get("dilations", ones),
        padding=None if mode.startswith(b"SAME") else pads,
        is_late=mode == b"SAME_LOWER",
    )


def _find_node(proto: ModelProto, layer: ClassLayer) -> NodeProto:
    """Return the convolution that computes a layer's logits, whose bias may be added behind it."""
    head = layer.head
    behind = [node for node in proto.graph.node if head.logits in node.output]
    names = {head.logits, *(name for node in behind for name in node.input)}
    found = [node for node in proto.graph.node if head.features in node.input[:1]]
    return min(found, key=lambda node: not names & {*node.output})


def gather_windows(
    features: Array, window: Window, extents: Sequence[int], locations: Locations
) -> Array:
    """Return what the kernel reads at each location of the map, [M, channels · kernel]."""
    strides, dilations = window.strides, window.dilations
    reach = [(size - 1) * step + 1 for size, step in zip(window.kernel, dilations, strict=True)]
    before = window.padding
    if before is None:
        sizes = zip(features.shape[2:], extents, strides, reach, strict=True)
        before = [_pad_same(*each, is_late=window.is_late) for each in sizes]
    around = [(0, 0), (0, 0), *zip(before, reach, strict=True)]
    padded = np.pad(features, around)
    starts = np.stack(np.unravel_index(locations.places, extents)) * np.array([*strides])[:, None]
    columns = [
        padded[(locations.images, slice(None), *(starts + step[:, None]))]
        for step in (np.array(offset) * dilations for offset in np.ndindex(*window.kernel))
    ]
    return np.stack(columns, 2).reshape(len(locations.places), -1)


def _pad_same(size: int, extent: int, stride: int, reach: int, *, is_late: bool) -> int:
    """Return the padding before an axis, half of what the map needs to have its extent."""
    total = max(0, (extent - 1) * stride + reach - size)
    return (total + is_late) // 2
