"""The quantization parameters of the nodes around a head."""

import onnx_graphsurgeon as gs

from nhle_onnx.values.model import QuantParams

QUANTIZING = frozenset({"QuantizeLinear", "DequantizeLinear"})
_OUTPUT_SCALES = {
    "QuantizeLinear": 1,
    "QLinearConv": 6,
    "QLinearMatMul": 6,
    "QLinearAdd": 6,
    "QGemm": 7,
    "QLinearGlobalAveragePool": 3,
    "QLinearAveragePool": 3,
}


def read_quant_params(
    node: gs.Node, scale: int, *, axis: int = 0, block_size: int = 0
) -> QuantParams:
    """Return the parameters at a scale input and the zero point input that follows it."""
    zero_point = node.inputs[scale + 1] if scale + 1 < len(node.inputs) else gs.Variable.empty()
    return QuantParams(
        scales=(node.inputs[scale].name,),
        zero_point=None if zero_point.is_empty() else zero_point.name,
        axis=axis,
        block_size=block_size,
    )


def read_input_quant_params(node: gs.Node) -> QuantParams:
    """Return the parameters of a node's first input, which are always the next two inputs."""
    axis, block_size = node.attrs.get("axis", 1), node.attrs.get("block_size", 0)
    return read_quant_params(node, 1, axis=int(axis), block_size=int(block_size))


def list_output_quant_params(node: gs.Node) -> tuple[QuantParams, ...]:
    """List the parameters by which a node rounds its result, if it does."""
    scale = _OUTPUT_SCALES.get(node.op, len(node.inputs))
    is_rounded = scale < len(node.inputs) and not node.inputs[scale].is_empty()
    return (read_quant_params(node, scale),) if is_rounded else ()
