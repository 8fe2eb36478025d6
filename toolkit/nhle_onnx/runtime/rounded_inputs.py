"""Matrix products whose float inputs ONNX Runtime rounds to 8 bits.

It turns some products with a stored 4-bit or 8-bit weight into a MatMulNBits, whose CPU kernel
rounds each block of inputs to integers from -127 to 127. It depends on other optimizations which
products these are, so this module reads the optimized graph.
"""

from collections.abc import Iterator

import onnx
from onnx import ModelProto, helper

from nhle_onnx.graph.scratch import open_scratch
from nhle_onnx.graph.tensors import MAX_PROTO_BYTES, measure_bytes
from nhle_onnx.runtime.native import open_native

_PRODUCTS = {"MatMul", "Gemm"}
_ROUNDING = 4  # the accuracy level of a kernel that computes in 8 bits


def find_rounded_inputs(proto: ModelProto) -> dict[str, int]:
    """Return how many inputs share a scale, by the name of the product."""
    products = set(_list_products(proto))
    if not products or measure_bytes(proto) > MAX_PROTO_BYTES:
        return {}
    kernels = dict(_list_kernels(proto))
    blocks = {name: kernels[name] for name in products & kernels.keys()}
    for node in proto.graph.node:
        if node.op_type == "Add" and node.output[0] in kernels:  # a bias added by the kernel
            blocks |= dict.fromkeys(products & {*node.input}, kernels[node.output[0]])
    return blocks


def _list_products(proto: ModelProto) -> Iterator[str]:
    """List float × quantized products, with the weight stored either way."""
    nodes = proto.graph.node
    dequantized = {node.output[0] for node in nodes if node.op_type == "DequantizeLinear"}
    for node in nodes:
        if node.op_type == "Transpose" and node.input[0] in dequantized:
            dequantized.add(node.output[0])
        if node.op_type in _PRODUCTS and node.input[0] not in dequantized:
            yield from node.output if node.input[1] in dequantized else ()


def _list_kernels(proto: ModelProto) -> Iterator[tuple[str, int]]:
    """Return the outputs and block sizes of kernels that round; empty where no session opens."""
    with open_scratch() as folder:
        path = folder / "optimized.onnx"
        try:
            open_native(proto.SerializeToString(), optimized=path)
        except Exception:  # noqa: BLE001 - its errors share no base; running the model reports them
            return
        optimized = onnx.load(path)
    for node in optimized.graph.node:
        if node.op_type == "MatMulNBits":
            found = {item.name: helper.get_attribute_value(item) for item in node.attribute}
            if found.get("accuracy_level") == _ROUNDING:
                yield node.output[0], found["block_size"]
