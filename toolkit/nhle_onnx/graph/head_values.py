"""Reading a head's numbers, and writing them back into the same graph."""

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.quant_params import read_reals, round_reals
from nhle_onnx.graph.tensors import FLOAT_TYPES, list_tensors, read_tensors, replace_tensors
from nhle_onnx.values.model import ClassifierHead, QuantParams

_BIAS_POSITION = 2
_ALIASES = frozenset({"Cast", "Identity", "DequantizeLinear"})
_WITHOUT_BIAS = frozenset({"MatMul", "Mul"})  # Mul: the scales after an integer product
_FIRST_IR_WITHOUT_INPUTS = 4


def read_format(proto: ModelProto, head: ClassifierHead) -> str:
    """Number format of the head."""
    kind = dict(list_tensors(proto))[head.weight].data_type
    return FLOAT_TYPES.get(kind, TensorProto.DataType.Name(kind).lower())


def read_head(
    proto: ModelProto, head: ClassifierHead
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """Weight in the stored layout, and bias [K]: zeros where the head has none.

    In the stored type, or as the real numbers that a quantized head's stand for.
    """
    weight = _read(proto, head.weight, head.weight_quant_params)
    if head.bias is None:
        kind = np.float32 if head.weight_quant_params else weight.dtype
        return weight, np.zeros(head.num_classes, kind)
    return weight, _read(proto, head.bias, head.bias_quant_params).reshape(head.num_classes)


def write_head(
    proto: ModelProto,
    head: ClassifierHead,
    weight: npt.NDArray[np.floating],
    bias: npt.NDArray[np.floating],
) -> None:
    """Write weight and bias in place, on their grids where they have any. A bias that the exporter
    dropped, or that the head shares with another layer, becomes a tensor of its own; after a
    MatMul that takes an Add node.

    Raises UnsupportedModelError where a quantized operator has no room for a bias.
    """
    _write(proto, head.weight, head.weight_quant_params, weight)
    node = next(node for node in proto.graph.node if head.logits in node.output)
    if head.bias is not None and _is_own(proto, head.bias, node):
        shape = _read(proto, head.bias, None).shape
        _write(proto, head.bias, head.bias_quant_params, bias.reshape(shape))
    elif head.bias is not None or bias.any():
        if node.domain or node.op_type.startswith("QLinear"):
            message = f"{node.op_type} {node.name} has no bias of its own to mask with"
            raise UnsupportedModelError(message, remedy="Give the model before quantization.")
        name = _add_bias(proto, head, bias)
        if node.op_type == "Add":
            _replace_shared_operand(proto, node, head, name)
        elif node.op_type in _WITHOUT_BIAS:
            _append_add(proto, node, name)
        else:
            del node.input[_BIAS_POSITION:]
            node.input.append(name)


def _read(proto: ModelProto, name: str, params: QuantParams | None) -> npt.NDArray[np.floating]:
    if params is None:
        return read_tensors(proto, (name,))[name]
    return read_reals(proto, name, params)


def _write(
    proto: ModelProto, name: str, params: QuantParams | None, values: npt.NDArray[np.floating]
) -> None:
    stored = values if params is None else round_reals(proto, name, params, values)
    replace_tensors(proto, {name: stored})


def _is_own(proto: ModelProto, tensor: str, user: NodeProto) -> bool:
    """Whether a tensor reaches `user` alone, directly or through an Identity or Cast."""
    name = tensor
    while name not in user.input:
        aliases = [node for node in proto.graph.node if name in node.input]
        if len(aliases) != 1 or aliases[0].op_type not in _ALIASES:
            return False
        name = aliases[0].output[0]
    return sum(list(node.input).count(name) for node in proto.graph.node) == 1


def _add_bias(proto: ModelProto, head: ClassifierHead, bias: npt.NDArray[np.floating]) -> str:
    """Add a tensor of the shape that the head's bias has, and return its name."""
    taken = {name for other in proto.graph.node for name in (*other.input, *other.output)}
    name = f"{head.weight.removesuffix('weight').rstrip('._')}.bias"
    while name in taken:
        name += "_"
    if head.bias is not None:
        bias = bias.reshape(_read(proto, head.bias, None).shape)
    if head.weight_quant_params is not None:
        bias = bias.astype(np.float32)
    proto.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(bias), name))
    if proto.ir_version < _FIRST_IR_WITHOUT_INPUTS:
        kind = helper.np_dtype_to_tensor_dtype(bias.dtype)
        proto.graph.input.append(helper.make_tensor_value_info(name, kind, bias.shape))
    return name


def _replace_shared_operand(
    proto: ModelProto, node: NodeProto, head: ClassifierHead, bias: str
) -> None:
    """Give an Add its own bias in place of the constant that it shares."""
    inner = next(other for other in proto.graph.node if other.name == head.node)
    position = 1 if node.input[0] in inner.output else 0
    node.input[position] = bias


def _append_add(proto: ModelProto, node: NodeProto, bias: str) -> None:
    """Put an Add behind a MatMul; the logits keep their name."""
    logits, unbiased = node.output[0], f"{node.output[0]}.unbiased"
    node.output[0] = unbiased
    position = list(proto.graph.node).index(node) + 1
    added = helper.make_node("Add", [unbiased, bias], [logits], name=f"{node.name}.bias")
    proto.graph.node.insert(position, added)
