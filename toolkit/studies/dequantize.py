"""The way back from what ONNX Runtime's own quantizer writes to floats."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, helper

from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.quant_params import read_reals
from nhle_onnx.graph.tensors import is_float, replace_tensors
from nhle_onnx.values.model import QuantParams
from studies.formats import Format

_INPUT_SCALE, _WEIGHT_SCALE = 1, 4  # positions in QLinearConv and QGemm alike


def dequantize(chosen: Format, proto: ModelProto, quantized: ModelProto) -> ModelProto:
    """Return the float graph, as `prepare` leaves it, with the values that `quantized` stands for.

    Tensors are matched by the quantizer's names: for a float tensor `w` it writes the integers
    `w_quantized` with `w_scale` and `w_zero_point` (a bias of QDQ has `w_quantized_scale`, one of
    QOperator the product of its node's input scale and weight scale), or in blocks `w_DQ_Q4` with
    `w_DQ_scales`; tensors left in floats keep their name. Several scales lie along the output
    channels, which the float graph's layer tells. Raises ValueError for a tensor that matches none
    of these.
    """
    floats = chosen.prepare(proto)
    axes = _find_channel_axes(floats)
    names = [tensor.name for tensor in floats.graph.initializer if is_float(tensor)]
    replace_tensors(floats, {name: _read_values(quantized, name, axes) for name in names})
    return floats


def find_integers(
    quantized: ModelProto, name: str, axis: int = 0
) -> tuple[str, QuantParams] | None:
    """Find the integers that the quantizer wrote for a float tensor, and their parameters. None
    where it kept the floats. `axis` counts output channels.
    """
    tensors = {tensor.name for tensor in quantized.graph.initializer}
    blocks = f"{name}_DQ_Q4"
    if blocks in tensors:
        return blocks, QuantParams(
            scales=(f"{name}_DQ_scales",),
            zero_point=None,
            block_size=_read_block_size(quantized, blocks),
        )
    integers = f"{name}_quantized"
    if integers not in tensors:
        return None
    for prefix in (integers, name):
        if f"{prefix}_scale" in tensors:
            zero_point = f"{prefix}_zero_point"
            return integers, QuantParams(
                scales=(f"{prefix}_scale",), zero_point=zero_point, axis=axis
            )
    user = next(node for node in quantized.graph.node if integers in node.input)
    scales = (user.input[_INPUT_SCALE], user.input[_WEIGHT_SCALE])
    return integers, QuantParams(scales=scales, zero_point=None)


def _read_values(
    quantized: ModelProto, name: str, axes: Mapping[str, int]
) -> npt.NDArray[np.floating]:
    found = find_integers(quantized, name, axes.get(name, 0))
    if found is not None:
        return read_reals(GraphIndex(quantized), *found)
    for tensor in quantized.graph.initializer:
        if tensor.name == name:
            return onnx.numpy_helper.to_array(tensor)
    message = f"the quantized model has no tensor that stands for {name}"
    raise ValueError(message)


def _find_channel_axes(floats: ModelProto) -> dict[str, int]:
    """Find the axis of output channels, for weights where it is not the first."""
    return {
        node.input[1]: 1
        for node in floats.graph.node
        if node.op_type == "MatMul" or (node.op_type == "Gemm" and not _has_channels_first(node))
    }


def _has_channels_first(node: NodeProto) -> bool:
    return any(item.name == "transB" and item.i for item in node.attribute)


def _read_block_size(quantized: ModelProto, integers: str) -> int:
    node = next(node for node in quantized.graph.node if integers in node.input)
    return next(
        int(helper.get_attribute_value(item))
        for item in node.attribute
        if item.name == "block_size"
    )
