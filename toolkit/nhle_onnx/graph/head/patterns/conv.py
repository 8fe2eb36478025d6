"""Conv as a head, where each class is an output channel: 1x1, or as large as its map."""

import math

import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.patterns.layer import Layer, Stored, pick, resolve


def read_conv(node: gs.Node, added_bias: Stored | None) -> Layer | str:
    """Read a Conv, or return why it is not a head."""
    layer = read_any_conv(node, added_bias)
    if isinstance(layer, str):
        return layer
    if math.prod(layer.weight.shape[2:]) != 1 and not _fills_its_map(node, layer.weight):
        return "is neither a 1x1 convolution nor as large as its map"
    return layer


def read_any_conv(node: gs.Node, added_bias: Stored | None) -> Layer | str:
    """Read a Conv of any kernel, which computes scores at each location of a map."""
    weight, own_bias = (resolve(tensor) for tensor in pick(node.inputs[1:], 2))
    if weight is None or weight.is_transposed or node.attrs.get("group", 1) != 1:
        return "has groups, or a weight that is not constant"
    if added_bias is not None and (own_bias is not None or added_bias.shape[-2:] != (1, 1)):
        return "is followed by an Add that is not a bias"
    return Layer(
        features=node.inputs[0],
        weight=weight,
        bias=added_bias or own_bias,
        class_axis=0,
        logits_axis=1 - len(weight.shape),
    )


def _fills_its_map(node: gs.Node, weight: Stored) -> bool:
    """Whether the window covers the whole map, so that each class has one score."""
    is_unpadded = not any(node.attrs.get("pads", ())) and node.attrs.get("auto_pad", "NOTSET") in {
        "NOTSET",
        "VALID",
    }
    is_dense = all(each == 1 for each in node.attrs.get("dilations", ()))
    shape = node.inputs[0].shape
    return is_unpadded and is_dense and shape is not None and [*shape[2:]] == [*weight.shape[2:]]
