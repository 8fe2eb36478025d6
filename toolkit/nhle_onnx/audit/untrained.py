"""A network of the same graph that never learned anything: what ZRF compares with."""

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from nhle_onnx.audit.head_rows import HeadRows, read_rows, with_rows
from nhle_onnx.graph.tensors import is_float, list_tensors, read_tensors, replace_tensors
from nhle_onnx.values.model import ClassifierHead


def reset_weights(proto: ModelProto, head: ClassifierHead, seed: int) -> ModelProto:
    """A copy with every matrix and kernel drawn anew (He et al., 2015); biases and normalisation
    stay, save the head's bias, which is 0.
    """
    rng = np.random.default_rng(seed)
    fresh = ModelProto()
    fresh.CopyFrom(proto)
    names = tuple(
        name for name, tensor in list_tensors(proto) if is_float(tensor) and len(tensor.dims) > 1
    )
    values, axes = read_tensors(proto, names), _find_output_axes(proto)
    replace_tensors(
        fresh,
        {
            name: rng.normal(0, np.sqrt(2 / _count_inputs(value, axes.get(name, 0))), value.shape)
            for name, value in values.items()
        },
    )
    return with_rows(
        fresh, head, HeadRows(read_rows(fresh, head).weight, np.zeros(head.num_classes))
    )


def _count_inputs(weight: npt.NDArray[np.floating], output_axis: int) -> int:
    """How many inputs each output of a layer sums over."""
    inputs: int = weight.size // max(1, weight.shape[output_axis])
    return max(1, inputs)


def _find_output_axes(proto: ModelProto) -> dict[str, int]:
    """The axis that counts outputs, of each weight where it is not the first."""
    axes = {}
    for node in proto.graph.node:
        transposes = any(each.name == "transB" and each.i for each in node.attribute)
        if node.op_type == "MatMul" or (node.op_type == "Gemm" and not transposes):
            axes[node.input[1]] = -1
        elif node.op_type == "ConvTranspose":
            axes[node.input[1]] = 1
    return axes
