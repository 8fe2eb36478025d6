"""Small networks that end in every form of head of floats: weights and biases are known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.load import load_model
from nhle_onnx.values.model import OnnxModel
from support.graphs import MICROSOFT, Array, keep_used, make_model, make_node

CLASSES, FEATURES = 4, 6
RNG = np.random.default_rng(0)
WEIGHT = RNG.normal(size=(CLASSES, FEATURES)).astype(np.float32)
BIAS = RNG.normal(size=CLASSES).astype(np.float32)

Values = Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A graph from `x` to `y`, and the layer in it: K rows of D weights, and K biases.

    `bias_scale` and `alpha` are the operator's factors, `step` what scores are rounded to.
    """

    nodes: Sequence[NodeProto]
    tensors: Mapping[str, Values | TensorProto]
    op: str
    weight: Values = field(default_factory=lambda: WEIGHT)
    bias: Values = field(default_factory=lambda: BIAS)
    alpha: float = 1.0
    bias_scale: float = 1.0
    is_clamped: bool = False
    step: float = 0.0
    image: tuple[int, ...] = (FEATURES,)
    declared: tuple[int | str, ...] = (CLASSES,)


def build(form: Form) -> ModelProto:
    """The form as a model of any batch."""
    return make_model(
        form.nodes, {"x": ["n", *form.image]}, {"y": ["n", *form.declared]}, form.tensors, opset=21
    )


def load(form: Form | ModelProto, folder: Path) -> OnnxModel:
    """The form as it is read from a file."""
    path = folder / "model.onnx"
    onnx.save(build(form) if isinstance(form, Form) else form, path)
    return load_model(path)


def draw_images(form: Form) -> Values:
    """Some that the form takes."""
    return np.random.default_rng(1).uniform(-1, 1, (16, *form.image)).astype(np.float32)


def node(op: str, inputs: str, output: str, **attributes: Any) -> NodeProto:  # noqa: ANN401 - ONNX attributes vary
    """A node named as its output; `inputs` by spaces, "-" for none."""
    if op.startswith("Q") and op not in {"QLinearConv", "QLinearMatMul", "QuantizeLinear"}:
        attributes["domain"] = MICROSOFT
    return make_node(op, inputs, output, name=f"/{output}", **attributes)


def follow(*nodes: NodeProto, **fields: Any) -> Form:  # noqa: ANN401 - fields of any type
    """A Gemm, and what comes behind its logits `z`."""
    gemm = node("Gemm", "x w b", "z", transB=1)
    return Form(nodes=(gemm, *nodes), tensors={"w": WEIGHT, "b": BIAS}, op="Gemm", **fields)


def gemm(**attributes: float) -> Form:
    """One with factors and either layout."""
    stored = WEIGHT if attributes.get("transB") else np.ascontiguousarray(WEIGHT.T)
    return Form(
        nodes=[node("Gemm", "x w b", "y", **attributes)], tensors={"w": stored, "b": BIAS},
        op="Gemm", alpha=attributes.get("alpha", 1.0), bias_scale=attributes.get("beta", 1.0),
    )  # fmt: skip


def matmul(*nodes: NodeProto, stored: Values = WEIGHT.T, has_bias: bool = True) -> Form:
    """Any nodes that end in the sum or the product."""
    tensors = {"w": np.ascontiguousarray(stored)} | ({"b": BIAS} if has_bias else {})
    bias = BIAS if has_bias else np.zeros_like(BIAS)
    return Form(nodes=nodes, tensors=tensors, op="MatMul", bias=bias)


def layer(*nodes: NodeProto, **tensors: Values) -> Form:
    """Any nodes, with those of these tensors, a weight `w` and a bias `b` that they read."""
    found = {"w": np.ascontiguousarray(WEIGHT.T), "b": BIAS} | tensors
    return Form(nodes=nodes, tensors=keep_used(found, nodes), op="")


def conv(*nodes: NodeProto, size: int = 1, **fields: Any) -> Form:  # noqa: ANN401 - fields of any type
    """One of 1x1 on a map; `b` is its own bias, `c` one to be added."""
    tensors = {"w": WEIGHT[..., None, None], "b": BIAS, "c": BIAS[None, :, None, None]}
    kept = keep_used(tensors, nodes)
    return Form(nodes=nodes, tensors=kept, op="Conv", image=(FEATURES, size, size), **fields)


def constant(name: str, values: Values) -> NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(values))


SOFTMAX = (
    node("ReduceMax", "z axis", "top"), node("Sub", "z top", "d"), node("Exp", "d", "e"),
    node("ReduceSum", "e axis", "sum"), node("Div", "e sum", "y"),
)  # fmt: skip


def decompose(*, is_shifted: bool) -> Form:
    """A softmax in parts, with or without what keeps it from overflowing."""
    form = follow(*(SOFTMAX if is_shifted else (node("Exp", "z", "e"), *SOFTMAX[3:])))
    return Form(nodes=form.nodes, tensors={**form.tensors, "axis": np.array([1])}, op="Gemm")


FLAT = node("Flatten", "z", "y")
FLOAT_FORMS: dict[str, Callable[[], Form]] = {
    "gemm": lambda: gemm(transB=1),
    "gemm-columns": gemm,
    "gemm-of-open-axes": lambda: replace(gemm(transB=1), declared=("k",)),
    "gemm-factors": lambda: gemm(transB=1, alpha=0.5, beta=-2.0),
    "gemm-without-bias": lambda: Form(
        nodes=[node("Gemm", "x w", "y", transB=1)], tensors={"w": WEIGHT}, op="Gemm",
        bias=np.zeros_like(BIAS),
    ),
    "gemm-add": lambda: Form(
        nodes=[node("Gemm", "x w -", "z", transB=1), node("Add", "b z", "y")],
        tensors={"w": WEIGHT, "b": BIAS}, op="Gemm",
    ),
    "gemm-behind-nodes": lambda: Form(
        nodes=[
            constant("w", WEIGHT), node("Transpose", "w", "t"), node("Identity", "t", "i"),
            constant("b", BIAS.astype(np.float64)), node("Cast", "b", "c", to=TensorProto.FLOAT),
            node("Gemm", "x i c", "y"),
        ],
        tensors={}, op="Gemm",
    ),
    "gemm-of-doubles": lambda: Form(
        nodes=[
            node("Cast", "w", "u", to=TensorProto.FLOAT),
            node("Cast", "b", "c", to=TensorProto.FLOAT),
            node("Gemm", "x u c", "y", transB=1),
        ],
        tensors={"w": WEIGHT.astype(np.float64), "b": BIAS.astype(np.float64)}, op="Gemm",
    ),
    "matmul": lambda: matmul(node("MatMul", "x w", "y"), has_bias=False),
    "matmul-softmax": lambda: matmul(
        node("MatMul", "x w", "z"), node("Softmax", "z", "y"), has_bias=False
    ),
    "matmul-add": lambda: matmul(node("MatMul", "x w", "z"), node("Add", "z b", "y")),
    "add-matmul": lambda: matmul(node("MatMul", "x w", "z"), node("Add", "b z", "y")),
    "matmul-transposed": lambda: matmul(
        node("Transpose", "w", "t"), node("MatMul", "x t", "z"), node("Add", "z b", "y"),
        stored=WEIGHT,
    ),
    "conv": lambda: conv(node("Conv", "x w b", "z"), FLAT),
    "conv-add": lambda: conv(node("Conv", "x w", "s"), node("Add", "s c", "z"), FLAT),
    "conv-without-bias": lambda: conv(
        node("Conv", "x w", "z"), FLAT, bias=np.zeros_like(BIAS)
    ),
    "conv-pool": lambda: conv(
        node("Conv", "x w b", "s"), node("GlobalAveragePool", "s", "z"), FLAT, size=3
    ),
    "conv-pool-relu-of-open-axes": lambda: conv(
        node("Conv", "x w b", "s"), node("GlobalAveragePool", "s", "p"), node("Relu", "p", "z"),
        FLAT, size=3, declared=("k",), is_clamped=True,
    ),
    "softmax": lambda: follow(node("Softmax", "z", "y")),
    "log-softmax": lambda: follow(node("LogSoftmax", "z", "y")),
    "sigmoid": lambda: follow(node("Sigmoid", "z", "y")),
    "softmax-in-parts": lambda: decompose(is_shifted=True),
    "softmax-without-shift": lambda: decompose(is_shifted=False),
    "relu": lambda: follow(node("Relu", "z", "y"), is_clamped=True),
    "clip-cast": lambda: follow(
        node("Clip", "z", "c"), node("Cast", "c", "y", to=TensorProto.FLOAT)
    ),
    "dropout-softmax": lambda: follow(node("Dropout", "z", "d"), node("Softmax", "d", "y")),
    "relu-softmax": lambda: follow(
        node("Relu", "z", "c"), node("Softmax", "c", "y"), is_clamped=True
    ),
}  # fmt: skip


def fill_rows(head: Head, classes: list[int], weight: float, bias: float | None = None) -> None:
    """Set every weight of some classes to one number, in place, and their biases if given."""
    stored, biases = (values.copy() for values in head.read())
    rows = stored if head.layout.class_axis == 0 else stored.T  # a view: writes reach `stored`
    rows[classes] = weight
    if bias is not None:
        biases[classes] = bias
    head.write(stored, biases)
