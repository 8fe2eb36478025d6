"""Reading a head's numbers, and writing them back into the same graph."""

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, helper, numpy_helper

from nhle_onnx.graph.tensors import read_tensors, replace_tensors
from nhle_onnx.values.model import ClassifierHead

_BIAS_POSITION = 2
_FIRST_IR_WITHOUT_INPUTS = 4


def read_head(
    proto: ModelProto, head: ClassifierHead
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """Weight as stored, and bias [K]: zeros of the same type where the head has none."""
    weight = read_tensors(proto, (head.weight,))[head.weight]
    if head.bias is None:
        return weight, np.zeros(head.num_classes, weight.dtype)
    return weight, read_tensors(proto, (head.bias,))[head.bias].reshape(head.num_classes)


def write_head(
    proto: ModelProto,
    head: ClassifierHead,
    weight: npt.NDArray[np.floating],
    bias: npt.NDArray[np.floating],
) -> None:
    """Write weight and bias in place. A bias that the exporter dropped, or that the head shares
    with another layer, becomes a tensor of its own: the one addition to the graph.
    """
    replace_tensors(proto, {head.weight: weight})
    node = next(node for node in proto.graph.node if head.logits in node.output)
    if head.bias is not None and _count_uses(proto, head.bias) == 1 and head.bias in node.input:
        shape = read_tensors(proto, (head.bias,))[head.bias].shape
        replace_tensors(proto, {head.bias: bias.reshape(shape)})
    elif head.bias is not None or bias.any():
        _add_bias(proto, node, head.weight, bias)


def _count_uses(proto: ModelProto, name: str) -> int:
    return sum(list(node.input).count(name) for node in proto.graph.node)


def _add_bias(
    proto: ModelProto, node: NodeProto, weight: str, bias: npt.NDArray[np.floating]
) -> None:
    taken = {name for other in proto.graph.node for name in (*other.input, *other.output)}
    name = f"{weight.removesuffix('weight').rstrip('._')}.bias"
    while name in taken:
        name += "_"
    proto.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(bias), name))
    if proto.ir_version < _FIRST_IR_WITHOUT_INPUTS:
        kind = helper.np_dtype_to_tensor_dtype(bias.dtype)
        proto.graph.input.append(helper.make_tensor_value_info(name, kind, bias.shape))
    del node.input[_BIAS_POSITION:]
    node.input.append(name)
