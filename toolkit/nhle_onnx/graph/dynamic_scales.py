"""Graphs that compute the scales of their quantized tensors at run time."""

from itertools import chain

from onnx import ModelProto

from nhle_onnx.graph.traversal import list_graphs

_OPERATORS = {"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"}


def computes_scales(proto: ModelProto) -> bool:
    """Whether any node computes a scale at run time. It computes one for the whole batch, so each
    image changes the results of the others. A scale follows from the lowest and highest number, so
    the last bit of either changes all results.
    """
    nodes = chain(
        *(graph.node for graph in list_graphs(proto.graph)),
        *(function.node for function in proto.functions),
    )
    return any(node.op_type in _OPERATORS for node in nodes)
