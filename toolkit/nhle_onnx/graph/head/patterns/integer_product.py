"""MatMulInteger, as in dynamically quantized graphs."""

from dataclasses import replace

import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.patterns.layer import MATRIX_RANK, Layer, Stored, pick, resolve
from nhle_onnx.values.model import QuantParams


def read_integer_product(node: gs.Node, bias: Stored | None) -> Layer | str:
    """Read the MatMulInteger of a dynamically quantized layer, whose scales follow in a Mul."""
    weight = resolve(node.inputs[1])
    scale = _find_dynamic_scale(node)
    source = node.inputs[0].inputs[0] if node.inputs[0].inputs else None
    if weight is None or len(weight.shape) != MATRIX_RANK or scale is None:
        return "has no constant weight matrix with a constant scale"
    if source is None or source.op != "DynamicQuantizeLinear":
        return "does not read the result of a DynamicQuantizeLinear"
    class_axis = 0 if weight.is_transposed else 1
    zero_point = pick(node.inputs, 4)[3]
    params = QuantParams(
        scales=(scale.name,),
        zero_point=None if zero_point is None else zero_point.name,
        axis=class_axis,
    )
    return Layer(
        features=source.inputs[0],
        weight=replace(weight, params=params),
        bias=bias,
        class_axis=class_axis,
    )


def skip_dynamic_scale(node: gs.Node) -> gs.Node:
    """Return the integer product before a Cast and the Mul of its scales, or the node itself."""
    if node.op != "Mul" or not node.inputs[0].inputs:
        return node
    before = node.inputs[0].inputs[0]
    if before.op == "Cast" and before.inputs[0].inputs:
        product = before.inputs[0].inputs[0]
        return product if product.op == "MatMulInteger" else node
    return node


def _find_dynamic_scale(product: gs.Node) -> gs.Tensor | None:
    """Return the constant scale among the factors of an integer product."""
    multiplied = product
    for op in ("Cast", "Mul"):
        users = multiplied.outputs[0].outputs
        if len(users) != 1 or users[0].op != op:
            return None
        multiplied = users[0]
    scales = multiplied.inputs[1].inputs
    if not scales or scales[0].op != "Mul":
        return None
    constants = [tensor for tensor in scales[0].inputs if isinstance(tensor, gs.Constant)]
    return constants[0] if len(constants) == 1 else None
