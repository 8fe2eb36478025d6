"""Layers and kernels as quantizers write them."""

import numpy as np
from onnx import TensorProto, helper

from support.graphs import MICROSOFT, make_node
from support.quantized_nets import (
    INT8,
    ZEROS,
    Attributes,
    Kind,
    Net,
    draw_bias,
    draw_numbers,
    draw_reals,
    list_numbers,
    make_grid,
    make_scale,
    spell,
)

INTO = [
    make_node("QuantizeLinear", "x q_scale q_zero", "q"),
    make_node("DequantizeLinear", spell("q"), "features"),
]


OUT_OF = [
    make_node("QuantizeLinear", "result z_scale z_zero", "z"),
    make_node("DequantizeLinear", spell("z")),
]


def make_layer(
    op_type: str,
    attributes: Attributes,
    weight: np.ndarray,
    kind: Kind,
    axis: int = 0,
    *,
    by_channel: bool = False,
) -> Net:
    """A layer in floats between quantizers, as ONNX Runtime's tools write it and its optimizer
    fuses it into a kernel for whole numbers.
    """
    has_bias = op_type in {"Conv", "Gemm"}
    count = weight.shape[axis] if by_channel else 0
    constants = {
        **make_grid("q", kind, 4 / 255),
        **make_grid("w", weight.dtype, 0.01339, count),
        **make_grid("z", kind, 0.0071 * max(len(weight), weight[0].size) ** 0.5),
        "w": weight,
        "bias": draw_bias(weight.shape[axis]) // 64,
    }
    constants["bias_scale"] = constants["q_scale"] * constants["w_scale"]
    nodes = [make_node("DequantizeLinear", spell("w"), "weight", axis=axis)]
    if has_bias:
        nodes.append(make_node("DequantizeLinear", "bias bias_scale", "shift", axis=0))
    inputs = "features weight" + " shift" * has_bias
    nodes.append(make_node(op_type, inputs, "result", **attributes))
    return Net([*INTO, *nodes, *OUT_OF], constants)


def make_dynamic_layer(op_type: str, weight: np.ndarray, scale: str, count: int = 0) -> Net:
    """A layer as ONNX Runtime's dynamic quantizer writes it."""
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "q_scale", "q_zero"]),
        make_node(op_type, "q w q_zero w_zero", "sums"),
        make_node("Mul", scale, "scale"),
        make_node("Cast", "sums", "steps", to=TensorProto.FLOAT),
        make_node("Mul", "steps scale", "product"),
        make_node("Add", "product bias"),
    ]
    bias = draw_reals(weight.shape[-1]) if weight.ndim == 2 else draw_reals(len(weight), 1, 1)
    return Net(nodes, {**make_grid("w", weight.dtype, 0.01339, count), "w": weight, "bias": bias})


def make_blocked_layer(kind: Kind, block: int) -> Net:
    weight = draw_numbers(kind, 96, 5, seed=1)
    grid = make_grid("w", kind, 0.1, len(weight) // block * 5)
    grid = {name: array.reshape(-1, 5) for name, array in grid.items()}
    nodes = [
        make_node("DequantizeLinear", spell("w"), "weight", axis=0, block_size=block),
        make_node("MatMul", "x weight"),
    ]
    return Net(nodes, {**grid, "w": weight})


# Inputs and attributes with which each kernel gives its input back, and the weight for that.
IDENTITIES: dict[str, tuple[str, Attributes, int]] = {
    "QLinearConv": ("x w y", {}, 1),
    "QLinearMatMul": ("x w y", {}, 1),
    "QGemm": ("x w - y", {}, 1),
    "QLinearAdd": ("x w y", {}, 0),
    "QLinearMul": ("x w y", {}, 1),
    "QLinearConcat": ("y x", {"axis": 0}, 1),
    "QLinearLeakyRelu": ("x y", {"alpha": 1.0}, 1),
    "QLinearAveragePool": ("x y", {"kernel_shape": [1, 1]}, 1),
    "QLinearGlobalAveragePool": ("x y", {}, 1),
}


def make_identity(op_type: str, kind: Kind, gain: float, shift: int = 0) -> tuple[Net, np.ndarray]:
    """A kernel that multiplies by a gain and moves the zero point, and every number there is."""
    inputs, attributes, number = IDENTITIES[op_type]
    weight_kind = kind if op_type in {"QLinearAdd", "QLinearMul"} else INT8
    shape = (1, 1) if op_type in {"QLinearMatMul", "QGemm"} else (1, 1, 1, 1)
    constants = {
        **make_grid("x", kind, gain),
        "w": np.full(shape, number, weight_kind),
        "w_scale": make_scale(1.0),
        "w_zero": np.zeros((), weight_kind),
        "y_scale": make_scale(1.0),
        "y_zero": np.asarray(ZEROS[kind] + shift, kind),
    }
    domain = "" if op_type in {"QLinearConv", "QLinearMatMul"} else MICROSOFT
    node = make_node(op_type, spell(inputs), domain=domain, **attributes)
    return Net([node], constants), list_numbers(kind).reshape(-1, *shape[1:])
