"""Half-precision models in float32, as training needs more digits than inference."""

from onnx import ModelProto, TensorProto, numpy_helper

from nhle_onnx.graph.tensors import list_tensors

_HALF = frozenset({TensorProto.FLOAT16, TensorProto.BFLOAT16})
_TOLERANCES = {"float32": 1e-3, "float16": 2e-2, "bfloat16": 1e-1}
_QUANTIZED_TOLERANCE = 1e-1  # a few steps: a number between two steps may be rounded either way


def get_tolerance(number_format: str) -> float:
    """Return how far logits may differ from ONNX Runtime's, relative to the largest."""
    return _TOLERANCES.get(number_format, _QUANTIZED_TOLERANCE)


def widen_model(proto: ModelProto) -> ModelProto:
    """Return a copy in which every half-precision tensor, input and Cast is float32.

    Names stay, so that tensors trained on the copy are written back, rounded, to the original.
    """
    widened = ModelProto()
    widened.CopyFrom(proto)
    for _, tensor in list_tensors(widened):
        if tensor.data_type in _HALF:
            values = numpy_helper.to_array(tensor).astype("float32")
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for value in widened.graph.input:
        if value.type.tensor_type.elem_type in _HALF:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in widened.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i in _HALF:
                attribute.i = TensorProto.FLOAT
    return widened
