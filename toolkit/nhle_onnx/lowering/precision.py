"""Half-precision models in float32, as training needs more digits than inference."""

from onnx import ModelProto, TensorProto, numpy_helper

from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.element_types import get_element_type
from nhle_onnx.graph.tensors import list_tensors


def widen_model(proto: ModelProto) -> ModelProto:
    """Return a copy in which every half-precision tensor, input and Cast is float32.

    Names stay, so that tensors trained on the copy are written back, rounded, to the original.
    """
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


def _is_narrow(kind: int) -> bool:
    """Whether a type is trained, but with fewer digits than float32."""
    found = get_element_type(kind)
    return found.is_trained and found.bits < get_element_type(TensorProto.FLOAT).bits
