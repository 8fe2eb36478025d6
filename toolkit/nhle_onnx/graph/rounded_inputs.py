"""Products whose inputs ONNX Runtime rounds to 8 bits, although the graph has them as floats.

Of a MatMul or Gemm of floats and a stored weight of 4 or 8 bits it makes a MatMulNBits, whose
kernel takes whole numbers from -127 to 127 of each block of inputs.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import chain
from typing import Any

from onnx import ModelProto, NodeProto, TensorProto, helper

from nhle_onnx.graph.tensors import list_tensors

_KINDS = {TensorProto.INT4, TensorProto.UINT4, TensorProto.INT8, TensorProto.UINT8}
_BLOCKS = {16, 32, 64, 128, 256}
_BLOCK = 32  # where the weight has none of its own
_RANK = 2
_BIAS = 2  # input of a Gemm
_OVERRIDABLE_SINCE = 4  # the IR from which an initializer that is an input is no constant


def find_rounded_inputs(proto: ModelProto) -> dict[str, int]:
    """How many inputs share a scale, by the name of the product."""
    graph = proto.graph
    stored = _list_constants(proto)
    dequantized = {
        node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"
    }
    quantized = {node.input[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    uses = Counter(chain(*(node.input for node in graph.node), (out.name for out in graph.output)))
    blocks = {
        node.output[0]: _find_block(dequantized[node.input[1]], stored)
        for node in graph.node
        if node.op_type in {"MatMul", "Gemm"}
        and node.input[1] in dequantized
        and uses[node.input[1]] == 1
        and node.input[0] not in dequantized
        and node.output[0] not in quantized
        and _is_plain(node, dequantized, stored)
    }
    return {name: block for name, block in blocks.items() if block}


def _list_constants(proto: ModelProto) -> dict[str, TensorProto]:
    stored = dict(list_tensors(proto))
    if proto.ir_version >= _OVERRIDABLE_SINCE:
        for given in proto.graph.input:
            stored.pop(given.name, None)
    return stored


def _is_plain(
    node: NodeProto, dequantized: Mapping[str, NodeProto], stored: Mapping[str, TensorProto]
) -> bool:
    """Whether rows are multiplied by columns as they are stored, and a bias is one a column."""
    attributes = _read_attributes(node)
    if attributes.get("transB", 0) or attributes.get("alpha", 1.0) != 1.0:
        return False
    bias = node.input[_BIAS] if len(node.input) > _BIAS else ""
    if not bias:
        return True
    bias = dequantized[bias].input[0] if bias in dequantized else bias
    is_row = bias in stored and len(stored[bias].dims) == 1
    return is_row and attributes.get("beta", 1.0) == 1.0


def _find_block(dequantize: NodeProto, stored: Mapping[str, TensorProto]) -> int:
    """How many inputs go with each scale of a weight; 0 where the kernel has no such form."""
    if not {*filter(None, dequantize.input)} <= stored.keys():
        return 0
    weight, scale = (stored[name] for name in dequantize.input[:2])
    if weight.data_type not in _KINDS or len(weight.dims) != _RANK:
        return 0
    attributes = _read_attributes(dequantize)
    axis, block = attributes.get("axis", 1), attributes.get("block_size", 0)
    if block:
        return block if axis == 0 and block in _BLOCKS else 0
    is_by_column = axis == 1 and [*scale.dims] == [weight.dims[1]]
    return _BLOCK if not scale.dims or is_by_column else 0


def _read_attributes(node: NodeProto) -> dict[str, Any]:
    return {item.name: helper.get_attribute_value(item) for item in node.attribute}
