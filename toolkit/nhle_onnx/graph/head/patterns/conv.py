"""1x1 Conv, where each class is an output channel."""

import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.patterns.layer import Layer, Stored, pick, resolve


def read_conv(node: gs.Node, added_bias: Stored | None) -> Layer | str:
    """Read a 1x1 Conv, or return why it is not a head."""
    weight, own_bias = (resolve(tensor) for tensor in pick(node.inputs[1:], 2))
    if weight is None or weight.is_transposed or node.attrs.get("group", 1) != 1:
        return "has no constant weight, or groups"
    if any(extent != 1 for extent in weight.shape[2:]):
        return "is not a 1x1 convolution"
    if added_bias is not None and (own_bias is not None or added_bias.shape[-2:] != (1, 1)):
        return "is followed by an Add that is not a bias"
    return Layer(features=node.inputs[0], weight=weight, bias=added_bias or own_bias, class_axis=0)
