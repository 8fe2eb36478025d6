"""As `head_forms`, in whole numbers: what these stand for is known."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper

from support.graphs import keep_used
from support.head_forms import BIAS, CLASSES, FEATURES, FLOAT_FORMS, RNG, Form, Values, node

I8, U8, F32 = (partial(np.array, dtype=kind) for kind in (np.int8, np.uint8, np.float32))

NUMBERS = RNG.integers(-90, 90, (CLASSES, FEATURES))
BIAS_NUMBERS = RNG.integers(-400, 400, CLASSES)
STEPS = F32([0.01, 0.02, 0.015, 0.005])  # one a class
IN_STEP, OUT_STEP, ONE_STEP = F32(0.02), F32(0.1), F32(0.0125)


def qdq(numbers: Values, scale: Values, zero_point: Values | None, axis: int, **at: int) -> Form:
    """Gemm between QuantizeLinear and DequantizeLinear nodes, as ONNX Runtime writes them."""
    steps, points = scale, np.float64(0) if zero_point is None else zero_point.astype(np.float64)
    if scale.ndim == 1:
        shape = [-1 if index == axis else 1 for index in range(2)]
        steps, points = scale.reshape(shape), points.reshape(shape) if points.ndim else points
    if at:
        steps = scale.repeat(at["block_size"], axis)
    kind = np.int8 if zero_point is None else zero_point.dtype
    # as kernels take it to be
    bias_step = (IN_STEP * (scale if scale.ndim < 2 else ONE_STEP)).astype(np.float32)
    real = ((numbers - points) * steps).astype(np.float32)
    inputs = "w s" if zero_point is None else "w s p"
    return Form(
        nodes=[
            node("QuantizeLinear", "x is ip", "xq"),
            node("DequantizeLinear", "xq is ip", "xr"),
            node("DequantizeLinear", inputs, "wr", axis=axis, **at),
            node("DequantizeLinear", "b bs", "br", axis=0),
            node("Gemm", "xr wr br", "z", transB=1),
            node("QuantizeLinear", "z os op", "zq"),
            node("DequantizeLinear", "zq os op", "y"),
        ],
        tensors={
            "is": IN_STEP, "ip": I8(3), "os": OUT_STEP, "op": U8(120),
            "w": numbers.astype(kind), "s": scale, "b": BIAS_NUMBERS.astype(np.int32),
            "bs": bias_step, **({} if zero_point is None else {"p": zero_point}),
        },
        op="Gemm", weight=real, bias=BIAS_NUMBERS * bias_step, step=float(OUT_STEP),
    )  # fmt: skip


QUANTIZED = {
    "is": IN_STEP, "ip": I8(3), "w": NUMBERS.astype(np.int8), "ws": ONE_STEP,
    "wp": I8(5), "os": OUT_STEP, "op": I8(-8), "b": BIAS_NUMBERS.astype(np.int32),
}  # fmt: skip
REALS = ((NUMBERS - 5) * ONE_STEP).astype(np.float32)
REAL_BIAS = (BIAS_NUMBERS * (IN_STEP * ONE_STEP)).astype(np.float32)
ENDS = (node("QuantizeLinear", "x is ip", "q"), node("DequantizeLinear", "r os op", "y"))


def qoperator(*nodes: NodeProto, op: str, **changes: Any) -> Form:  # noqa: ANN401 - fields of any type
    """Operators of whole numbers between one that rounds and one that widens."""
    fields = {"weight": REALS, "bias": REAL_BIAS, "step": float(OUT_STEP)} | changes
    tensors = QUANTIZED | fields.pop("tensors", {})
    kept = keep_used(tensors, (*nodes, *ENDS))
    return Form(nodes=(ENDS[0], *nodes, ENDS[1]), tensors=kept, op=op, **fields)


def dynamic(*, has_bias: bool, is_symmetric: bool = False, steps: Values = ONE_STEP) -> Form:
    """As quantized while it runs: the scales are multiplied in behind the product."""
    last = "m" if has_bias else "y"
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "qs", "qp"]),
        node("MatMulInteger", "q w qp" if is_symmetric else "q w qp wp", "i"),
        node("Mul", "qs ws", "t"),
        node("Cast", "i", "f", to=TensorProto.FLOAT),
        node("Mul", "f t", last),
    ]
    tensors: dict[str, Values] = {
        "w": np.ascontiguousarray(NUMBERS.T).astype(np.int8), "ws": steps
    }  # fmt: skip
    if not is_symmetric:
        tensors["wp"] = I8(5)
    if has_bias:
        nodes.append(node("Add", "b m", "y"))
        tensors["b"] = BIAS
    bias = BIAS if has_bias else np.zeros_like(BIAS)
    weight = (NUMBERS - (0 if is_symmetric else 5)) * steps.reshape(-1, 1)
    return Form(
        nodes=nodes, tensors=tensors, op="MatMulInteger", weight=weight, bias=bias, step=0.05
    )


def turn(form: Form) -> Form:
    """With its weight stored the other way round, and turned in the graph."""
    turned = node("Transpose", "w", "wt")
    nodes = [turned, *form.nodes]
    for each in nodes[1:]:
        renamed = ["wt" if name == "w" else name for name in each.input]
        del each.input[:]
        each.input.extend(renamed)
    stored = np.ascontiguousarray(np.asarray(form.tensors["w"]).T)
    return replace(form, nodes=nodes, tensors={**form.tensors, "w": stored})


QUANTIZED_FORMS: dict[str, Callable[[], Form]] = {
    "qdq": lambda: qdq(NUMBERS, ONE_STEP, I8(5), 0),
    "qdq-per-class": lambda: qdq(NUMBERS, STEPS, I8([1, -2, 3, 0]), 0),
    "qdq-turned": lambda: Form(
        nodes=[
            node("DequantizeLinear", "w s p", "wr", axis=0), node("Transpose", "wr", "t"),
            node("Gemm", "x t b", "y"),
        ],
        tensors={"w": NUMBERS.astype(np.int8), "s": STEPS, "p": I8([1, -2, 3, 0]), "b": BIAS},
        op="Gemm", weight=(NUMBERS - np.array([[1], [-2], [3], [0]])) * STEPS[:, None],
    ),
    "qdq-unsigned": lambda: qdq(NUMBERS + 120, STEPS, U8([120, 110, 115, 100]), 0),
    "qdq-blocks": lambda: qdq(
        NUMBERS, STEPS[:, None] * F32([1, 2, 3]), None, 1, block_size=2
    ),
    "qgemm": lambda: qoperator(
        node("QGemm", "q is ip w ws wp b os op", "r", transB=1), op="QGemm"
    ),
    "qlinear-conv": lambda: qoperator(
        node("QLinearConv", "q is ip w ws wp os op b", "r"), op="QLinearConv",
        tensors={"w": NUMBERS.astype(np.int8)[..., None, None], "ws": STEPS,
                 "wp": I8([0, 0, 0, 0])},
        weight=NUMBERS * STEPS[:, None], bias=BIAS_NUMBERS * (STEPS * IN_STEP),
        image=(FEATURES, 1, 1), declared=(CLASSES, 1, 1),
    ),
    "qlinear-add": lambda: qoperator(
        node("QLinearMatMul", "q is ip w ws wp ms mp", "m"),
        node("QLinearAdd", "m ms mp b bs bp os op", "r"), op="QLinearMatMul",
        tensors={"w": np.ascontiguousarray(NUMBERS.T).astype(np.int8), "ms": F32(0.08),
                 "mp": I8(4), "b": I8([9, -100, 40, 0]), "bs": F32(0.01),
                 "bp": I8(-7)},
        bias=F32([0.16, -0.93, 0.47, 0.07]), step=0.2,
    ),
    "qlinear-softmax": lambda: qoperator(
        node("QGemm", "q is ip w ws wp b os op", "g", transB=1),
        node("QLinearSoftmax", "g os op ps pp", "r", opset=17), op="QGemm",
        tensors={"ps": F32(1 / 256), "pp": I8(-128)},
    ),
    "dynamic": lambda: dynamic(has_bias=True),
    "dynamic-without-bias": lambda: dynamic(has_bias=False),
    "dynamic-symmetric": lambda: dynamic(has_bias=True, is_symmetric=True),
    "dynamic-per-class": lambda: dynamic(has_bias=True, is_symmetric=True, steps=STEPS),
    "qlinear-per-class": lambda: qoperator(
        node("QLinearMatMul", "q is ip w ws wp ms mp", "m"),
        node("QLinearAdd", "m ms mp b bs bp os op", "r"), op="QLinearMatMul",
        tensors={"w": np.ascontiguousarray(NUMBERS.T).astype(np.int8), "ws": STEPS,
                 "wp": I8([1, -2, 3, 0]), "ms": F32(0.08), "mp": I8(4),
                 "b": I8([9, -100, 40, 0]), "bs": F32(0.01), "bp": I8(-7)},
        weight=(NUMBERS - np.array([[1], [-2], [3], [0]])) * STEPS[:, None],
        bias=F32([0.16, -0.93, 0.47, 0.07]), step=0.2,
    ),
    "dynamic-turned": lambda: turn(dynamic(has_bias=True)),
}  # fmt: skip
FORMS = FLOAT_FORMS | QUANTIZED_FORMS
