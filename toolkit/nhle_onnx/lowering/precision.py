"""Half-precision models in float32, as training needs more digits than inference."""

from collections.abc import Iterator

from onnx import ModelProto, TensorProto, numpy_helper

from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.element_types import get_element_type
from nhle_onnx.graph.tensors import list_tensors


def widen_model(proto: ModelProto) -> ModelProto:
    """Return a copy in which every half-precision tensor, input and Cast is float32; or the model
    itself, where nothing is half-precision.

    Names stay, so that tensors trained on the copy are written back, rounded, to the original.
    """
    if not any(map(_is_narrow, _list_kinds(proto))):
        return proto
    widened = copy_model(proto)
    for _, tensor in list_tensors(widened):
        if _is_narrow(tensor.data_type):
            values = numpy_helper.to_array(tensor).astype("float32")
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for value in widened.graph.input:
        if _is_narrow(value.type.tensor_type.elem_type):
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in widened.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and _is_narrow(attribute.i):
                attribute.i = TensorProto.FLOAT
    return widened


def _list_kinds(proto: ModelProto) -> Iterator[int]:
    yield from (tensor.data_type for _, tensor in list_tensors(proto))
    yield from (value.type.tensor_type.elem_type for value in proto.graph.input)
    for node in proto.graph.node:
        if node.op_type == "Cast":
            yield from (attribute.i for attribute in node.attribute if attribute.name == "to")


def _is_narrow(kind: int) -> bool:
    """Whether a type is trained, but with fewer digits than float32."""
    found = get_element_type(kind)
    return found.is_trained and found.bits < get_element_type(TensorProto.FLOAT).bits
