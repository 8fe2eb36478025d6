"""Graphs that quantize what they compute by scales that they find as they run."""

from itertools import chain

from onnx import ModelProto

from nhle_onnx.graph.traversal import list_graphs

_FINDING = {"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"}


def finds_scales(proto: ModelProto) -> bool:
    """Whether any node does. Its scale is that of a whole batch, so that each image changes what
    the others give; and of the largest number, so that the last bit of one moves all of them.
    """
    nodes = chain(
        *(graph.node for graph in list_graphs(proto.graph)),
        *(function.node for function in proto.functions),
    )
    return any(node.op_type in _FINDING for node in nodes)
