"""Writing a head's bias, also where the graph has none of its own."""

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, helper, numpy_helper

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.quant_params import write_numbers
from nhle_onnx.text import describe_node
from nhle_onnx.values.model import ClassifierHead

_BIAS_POSITION = 2
_ALIASES = frozenset({"Cast", "Identity", "DequantizeLinear"})
_WITHOUT_BIAS = frozenset({"Einsum", "MatMul", "MatMulNBits", "Mul"})  # Mul: of integer products
_FIRST_IR_WITHOUT_INPUTS = 4


def write_bias(index: GraphIndex, head: ClassifierHead, bias: npt.NDArray[np.floating]) -> None:
    """Write a head's bias [K] in place, adding a bias where the head has none or shares it.

    Raises UnsupportedModelError where a quantized operator has no room for it.
    """
    proto = index.proto
    node = next(node for node in proto.graph.node if head.logits in node.output)
    if head.bias is not None and _is_own(index, head.bias, node):
        shape = tuple(index.tensors[head.bias].dims)
        write_numbers(index, head.bias, head.bias_quant_params, bias.reshape(shape))
    elif head.bias is not None or bias.any():
        is_whole = node.domain or node.op_type.startswith("QLinear")
        if is_whole and node.op_type not in _WITHOUT_BIAS:
            place = describe_node(node.op_type, node.name, node.output)
            message = f"{place} has no bias of its own to mask with"
            raise UnsupportedModelError(
                message, remedy="Give the model as it was before quantization."
            )
        name = _add_bias(index, head, bias)
        if node.op_type == "Add":
            _replace_shared_operand(index, node, head, name)
        elif node.op_type in _WITHOUT_BIAS:
            _append_add(proto, node, name)
        else:
            del node.input[_BIAS_POSITION:]
            node.input.append(name)


def _is_own(index: GraphIndex, tensor: str, user: NodeProto) -> bool:
    """Whether a tensor is used only by `user`, directly or through an Identity or Cast."""
    name = tensor
    while name not in user.input:
        aliases = [node for node in index.proto.graph.node if name in node.input]
        if len(aliases) != 1 or aliases[0].op_type not in _ALIASES:
            return False
        name = aliases[0].output[0]
    return sum(list(node.input).count(name) for node in index.proto.graph.node) == 1


def _add_bias(index: GraphIndex, head: ClassifierHead, bias: npt.NDArray[np.floating]) -> str:
    """Add a tensor in the shape of the head's bias, and return its name."""
    proto = index.proto
    taken = {name for other in proto.graph.node for name in (*other.input, *other.output)}
    name = f"{head.weight.removesuffix('weight').rstrip('._')}.bias"
    while name in taken:
        name += "_"
    if head.bias is not None:
        bias = bias.reshape(tuple(index.tensors[head.bias].dims))
    elif "Conv" not in head.op:
        bias = bias.reshape(-1, *[1] * (-head.logits_axis - 1))
    params = head.bias_quant_params or head.weight_quant_params
    if params is not None:  # its reals are of the type of their scale
        known = [index.read(each) for each in params.scales if each in index.tensors]
        bias = bias.astype(known[0].dtype if known else np.float32)
    proto.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(bias), name))
    if proto.ir_version < _FIRST_IR_WITHOUT_INPUTS:
        kind = helper.np_dtype_to_tensor_dtype(bias.dtype)
        proto.graph.input.append(helper.make_tensor_value_info(name, kind, bias.shape))
    return name


def _replace_shared_operand(
    index: GraphIndex, node: NodeProto, head: ClassifierHead, bias: str
) -> None:
    """Give an Add its own bias in place of the constant that it shares."""
    name = node.input[0]
    while name in index.producers and index.producers[name].op_type in _ALIASES:
        name = index.producers[name].input[0]
    node.input[0 if name == head.bias else 1] = bias


def _append_add(proto: ModelProto, node: NodeProto, bias: str) -> None:
    """Put an Add behind a MatMul; the logits keep their name."""
    logits, unbiased = node.output[0], f"{node.output[0]}.unbiased"
    node.output[0] = unbiased
    position = list(proto.graph.node).index(node) + 1
    added = helper.make_node("Add", [unbiased, bias], [logits], name=f"{node.name}.bias")
    proto.graph.node.insert(position, added)
