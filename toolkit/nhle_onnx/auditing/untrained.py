"""An untrained network with the same graph, the reference of ZRF."""

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, numpy_helper

from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.element_types import is_quantized
from nhle_onnx.graph.head.head import Head, HeadRows
from nhle_onnx.graph.tensors import is_float, list_tensors, replace_tensors
from nhle_onnx.values.model import ClassifierHead


def reset_weights(proto: ModelProto, head: ClassifierHead, seed: int) -> ModelProto:
    """Return a copy with new random matrices and kernels (He et al., 2015). Integer weights are
    shuffled instead. Biases and normalisation stay, except that the head's bias becomes 0.
    """
    rng = np.random.default_rng(seed)
    fresh = copy_model(proto)
    axes = _find_output_axes(proto)
    values: dict[str, npt.NDArray[np.float64]] = {}
    for name, tensor in list_tensors(proto):
        if len(tensor.dims) <= 1 or not (is_float(tensor) or is_quantized(tensor.data_type)):
            continue
        weight = numpy_helper.to_array(tensor).astype(np.float64)
        spread = np.sqrt(2 / _count_inputs(weight, axes.get(name, 0)))
        values[name] = (
            rng.normal(0, spread, weight.shape)
            if is_float(tensor)
            else rng.permuted(weight.ravel()).reshape(weight.shape)
        )
    replace_tensors(fresh, values)
    bound = Head(fresh, head)
    return bound.with_rows(HeadRows(bound.rows.weight, np.zeros(head.num_classes)))


def _count_inputs(weight: npt.NDArray[np.floating], output_axis: int) -> int:
    """Count the inputs that each output of a layer sums over."""
    inputs: int = weight.size // max(1, weight.shape[output_axis])
    return max(1, inputs)


def _find_output_axes(proto: ModelProto) -> dict[str, int]:
    """Find the axis of outputs, for each weight where it is not the first."""
    axes = {}
    for node in proto.graph.node:
        transposes = any(each.name == "transB" and each.i for each in node.attribute)
        if node.op_type == "MatMul" or (node.op_type == "Gemm" and not transposes):
            axes[node.input[1]] = -1
        elif node.op_type == "ConvTranspose":
            axes[node.input[1]] = 1
    return axes
