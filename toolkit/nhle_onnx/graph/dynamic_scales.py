"""Graphs that compute the scales of their quantized tensors at run time."""

from itertools import chain

from onnx import ModelProto

from nhle_onnx.graph.traversal import list_graphs

_FINDING = {"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"}


def finds_scales(proto: ModelProto) -> bool:
    """Whether any node computes a scale at run time. One scale serves the whole batch, so each
    image changes the results of the others. It follows from the largest number, so that number's
    last bit changes all of them.
    """
    nodes = chain(
        *(graph.node for graph in list_graphs(proto.graph)),
        *(function.node for function in proto.functions),
    )
    return any(node.op_type in _FINDING for node in nodes)
