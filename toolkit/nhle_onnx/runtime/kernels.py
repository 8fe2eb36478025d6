"""Which kernels multiply 8-bit numbers: those with exact sums, or this processor's default ones.

On x86 processors without VNNI, ONNX Runtime's default kernels add pairs of uint8 × int8 products in
16 bits, and saturate: networks then lose accuracy on such a host that they keep on a device.
"""

from functools import cache
from itertools import chain

import numpy as np
from onnx import ModelProto, TensorProto, helper

from nhle_onnx.graph.traversal import list_graphs
from nhle_onnx.runtime.native import open_native

SATURATION = (
    "this processor saturates uint8 × int8 sums; devices with VNNI or ARM dot products do not"
)
DEPTH = 64
_QUANTIZED = {"QuantizeLinear", "DynamicQuantizeLinear", "DequantizeLinear"}
_INTEGER = ("QLinear", "QGemm", "MatMulInteger", "ConvInteger", "QAttention", "DynamicQuantize")


@cache
def saturates() -> bool:
    """Find out whether this processor's default kernels saturate sums of uint8 × int8 products."""
    factors = {
        "left": np.full((1, DEPTH), 255, np.uint8),
        "right": np.full((DEPTH, 1), 127, np.int8),
    }
    (computed,) = open_native(make_trial()).run(None, factors)
    return bool(computed.item() != 255 * 127 * DEPTH)


def make_trial() -> bytes:
    """Make a model of one uint8 × int8 product, with inputs `left` [1, 64] and `right` [64, 1]."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["left", "right"], ["sum"])],
        "trial",
        [
            value("left", TensorProto.UINT8, [1, DEPTH]),
            value("right", TensorProto.INT8, [DEPTH, 1]),
        ],
        [value("sum", TensorProto.INT32, [1, 1])],
    )
    opset = [helper.make_opsetid("", 10)]
    return helper.make_model(graph, opset_imports=opset, ir_version=5).SerializeToString()


def may_saturate(model: ModelProto) -> bool:
    """Whether a model multiplies 8-bit numbers, and this processor's default kernels saturate."""
    nodes = chain(
        *(graph.node for graph in list_graphs(model.graph)),
        *(function.node for function in model.functions),
    )
    names = {node.op_type for node in nodes}
    is_quantized = bool(names & _QUANTIZED) or any(name.startswith(_INTEGER) for name in names)
    return is_quantized and saturates()
