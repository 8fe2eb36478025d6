"""Layers that are no head: each is refused, and the reason says what is in the way."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.find import find_head
from support.assertions import assert_told
from support.head_forms import (
    BIAS,
    CLASSES,
    FEATURES,
    FLAT,
    WEIGHT,
    Form,
    build,
    conv,
    layer,
    load,
    node,
)
from support.quantized_forms import FORMS, NUMBERS, ONE_STEP, dynamic, qdq

SQUARE = np.eye(FEATURES, dtype=np.float32)


def quantized(name: str, op: str, **values: float) -> Form:
    """A form with another attribute of its operator."""
    form = FORMS[name]()
    for each in form.nodes:
        if each.op_type == op:
            for key, value in values.items():
                each.attribute.append(helper.make_attribute(key, value))
    return form


def behind_quantized(*last: onnx.NodeProto, **tensors: np.ndarray) -> Form:
    form = qdq(NUMBERS, np.ones(CLASSES, np.float32), None, 0)
    nodes = [*form.nodes[:-1], node(form.nodes[-1].op_type, " ".join(form.nodes[-1].input), "y0")]
    return Form(nodes=[*nodes, *last], tensors={**form.tensors, **tensors}, op="")


def behind_integers(*last: onnx.NodeProto) -> Form:
    form = dynamic(has_bias=False)
    return Form(nodes=[*form.nodes[:2], *last], tensors=dict(form.tensors), op="")


REFUSED: dict[str, tuple[Callable[[], Form], str]] = {
    "no layer": (lambda: layer(node("Abs", "x", "y")), "y comes from Abs /y"),
    "a factor": (
        lambda: layer(node("Mul", "x c", "y"), c=BIAS[:1]), "x is not computed by any node"
    ),
    "no constant sum": (
        lambda: layer(node("Add", "x x", "y")), "x is not computed by any node"
    ),
    "scores added to the features that they come from": (
        lambda: Form(
            nodes=[
                node("MatMul", "x u", "h"), node("Gemm", "h v", "z"), node("Add", "h z", "y")
            ],
            tensors={"u": SQUARE, "v": SQUARE[::-1].copy()}, op="", declared=(FEATURES,),
        ),
        "is added to scores whose features it computes",
    ),
    "a head twice": (
        lambda: layer(node("Gemm", "x w b", "z"), node("Neg", "z", "u"), node("Add", "z u", "y")),
        "Gemm /z is added to itself",
    ),
    "a class twice": (
        lambda: layer(
            node("Gemm", "x w b", "z"), node("Gather", "z i", "y", axis=1),
            i=np.int64([0, 1, 1, 3]),
        ),
        "Gemm /z gives two classes one row",
    ),
    "stacked heads": (
        lambda: layer(
            node("Gemm", "x w b", "z"), node("MatMul", "x v", "u"),
            node("Concat", "z u", "y", axis=0), v=np.ascontiguousarray(WEIGHT.T),
        ),
        "is stacked with other scores, and no node adds them up",
    ),
    "classes along the first axis": (
        lambda: Form(
            nodes=[node("Transpose", "x", "t"), node("MatMul", "v t", "y")], tensors={"v": WEIGHT},
            op="", declared=("n2",),
        ),
        "leads to y, whose first axis counts classes instead of images",
    ),
    "a quantized head whose classes move": (
        lambda: behind_quantized(node("Gather", "y0 i", "y", axis=1), i=np.int64([1, 0, 2, 3])),
        "is quantized, and classes are moved or shifted behind it",
    ),
    "a slice in steps of nothing": (
        lambda: layer(
            node("Gemm", "x w b", "z"), node("Slice", "z s e a s", "y"), s=np.int64([0]),
            e=np.int64([4]), a=np.int64([1]),
        ),
        "y comes from Slice /y, which is not a valid node",
    ),
    "a clip at no number": (
        lambda: layer(
            node("Gemm", "x w b", "z"), node("Clip", "z low", "y"), low=np.zeros(0, np.float32)
        ),
        "y comes from Clip /y, which is not a valid node",
    ),
    "the log of numbers below 0": (
        lambda: layer(node("Gemm", "x w b", "z"), node("Log", "z", "y")),
        "Gemm /z is followed by Log, which gives NaN where a score is below 0",
    ),
    "exponents divided by a constant": (
        lambda: layer(node("Gemm", "x w b", "z"), node("Exp", "z", "e"), node("Div", "e b", "y")),
        "Gemm /z is followed by Div /y, which weights the classes behind Exp",
    ),
    "a window of whole numbers": (
        lambda: Form(
            nodes=FORMS["qlinear-conv"]().nodes,
            tensors={
                **FORMS["qlinear-conv"]().tensors,
                "w": np.ones((CLASSES, FEATURES, 3, 3), np.int8),
            },
            op="", image=(FEATURES, 3, 3), declared=(CLASSES, 1, 1),
        ),
        "QLinearConv /r has no constant weight matrix",
    ),
    "integers whose scales are one constant": (
        lambda: Form(
            nodes=[
                *dynamic(has_bias=False).nodes[:2],
                node("Cast", "i", "f", to=TensorProto.FLOAT), node("Mul", "f ws", "y"),
            ],
            tensors=dict(dynamic(has_bias=False).tensors), op="",
        ),
        "has no constant weight matrix with a constant scale",
    ),
    "groups of whole numbers": (
        lambda: quantized("qlinear-conv", "QLinearConv", group=2),
        "QLinearConv /r is not a plain layer: transA, or groups",
    ),
    "product of results": (
        lambda: layer(node("Gemm", "x x", "y", transB=1)), "Gemm /y has no constant weight matrix"
    ),
    "matmul of results": (
        lambda: layer(node("Transpose", "x", "t"), node("MatMul", "x t", "y")),
        "MatMul /y has no constant weight matrix on its right or left",
    ),
    "matmul of more axes": (
        lambda: layer(node("MatMul", "x w", "y"), w=np.ascontiguousarray(WEIGHT.T)[None]),
        "MatMul /y has no constant weight matrix on its right or left",
    ),
    "bias of a result": (
        lambda: layer(node("ReduceSum", "x", "s"), node("Gemm", "x w s", "y")),
        "Gemm /y has a bias that is not constant",
    ),
    "alpha of 0": (
        lambda: layer(node("Gemm", "x w b", "y", alpha=0.0)), "an alpha or beta of 0"
    ),
    "beta of 0": (lambda: layer(node("Gemm", "x w b", "y", beta=0.0)), "an alpha or beta of 0"),
    "alpha without limit": (
        lambda: layer(node("Gemm", "x w b", "y", alpha=np.inf)),
        "Gemm /y has a factor or summand that is not finite",
    ),
    "beta of no number": (
        lambda: layer(node("Gemm", "x w b", "y", beta=np.nan)),
        "Gemm /y has a factor or summand that is not finite",
    ),
    "a batch norm of negative variance": (
        lambda: layer(
            node("Gemm", "x w b", "z"), node("BatchNormalization", "z m m m v", "y"),
            m=np.ones(CLASSES, np.float32), v=np.full(CLASSES, -1, np.float32),
        ),
        "not finite",
    ),
    "a sum of no number": (
        lambda: layer(
            node("Gemm", "x w b", "z"), node("Add", "z n", "y"),
            n=np.full(CLASSES, np.nan, np.float32),
        ),
        "whose operand is not one finite constant for each class",
    ),
    "turned features": (
        lambda: layer(node("Transpose", "x", "t"), node("Gemm", "t w b", "y", transA=1)),
        "is not a plain layer: transA",
    ),
    "bias for all": (
        lambda: layer(node("Gemm", "x w b", "y"), b=np.ones(1, np.float32)),
        "Gemm /y has a bias that is not one constant for each class",
    ),
    "shared weight": (
        lambda: layer(node("MatMul", "x w", "h"), node("MatMul", "h w", "y"), w=SQUARE),
        "MatMul /y shares its weight with another layer",
    ),
    "one output": (
        lambda: layer(node("MatMul", "x w", "y"), w=np.ones((FEATURES, 1), np.float32)),
        "MatMul /y has 1 output, which leaves no choice between classes",
    ),
    "another shape": (
        lambda: Form(
            nodes=[node("MatMul", "x w", "z"), node("Reshape", "z s", "y")],
            tensors={"w": SQUARE, "s": np.int64([-1, 2])}, op="", declared=(2,),
        ),
        "is not one score for each class",
    ),
    "3x3 convolution": (
        lambda: Form(
            nodes=[node("Conv", "x w", "z"), FLAT],
            tensors={"w": np.ones((CLASSES, FEATURES, 3, 3), np.float32)},
            op="", image=(FEATURES, 5, 5),
        ),
        "Conv /z is neither a 1x1 convolution nor as large as its map",
    ),
    "groups": (
        lambda: Form(
            nodes=[node("Conv", "x w", "z", group=2), FLAT],
            tensors={"w": np.ones((CLASSES, FEATURES // 2, 1, 1), np.float32)},
            op="", image=(FEATURES, 1, 1),
        ),
        "Conv /z has groups, or a weight that is not constant",
    ),
    "map of scores": (
        lambda: conv(node("Conv", "x w b", "y"), size=2, declared=("h", "w", "c")),
        "is not one score for each class",
    ),
    "quantized with a factor": (
        lambda: quantized("qdq", "Gemm", alpha=0.5), "is quantized, with an alpha or beta"
    ),
    "quantized with a beta": (
        lambda: quantized("qdq", "Gemm", beta=2.0), "is quantized, with an alpha or beta"
    ),
    "turned before widening": (
        lambda: Form(
            nodes=[
                node("Transpose", "w", "t"), node("DequantizeLinear", "t s", "wr"),
                node("Gemm", "x wr", "y"),
            ],
            tensors={"w": NUMBERS.astype(np.int8), "s": ONE_STEP}, op="",
        ),
        "Gemm /y has no constant weight matrix",
    ),
    "QGemm with a factor": (
        lambda: quantized("qgemm", "QGemm", alpha=0.5), "QGemm /r is quantized, with an alpha"
    ),
    "QGemm of turned features": (
        lambda: quantized("qgemm", "QGemm", transA=1),
        "QGemm /r is not a plain layer: transA, or groups",
    ),
    "integers without a scale": (
        lambda: behind_integers(node("Cast", "i", "y", to=TensorProto.FLOAT)),
        "has no constant weight matrix with a constant scale",
    ),
    "integers with a scale of results alone": (
        lambda: behind_integers(
            node("Mul", "qs qs", "t"), node("Cast", "i", "f", to=TensorProto.FLOAT),
            node("Mul", "f t", "y"),
        ),
        "has no constant weight matrix with a constant scale",
    ),
    "integers of computed numbers": (
        lambda: Form(
            nodes=[
                *dynamic(has_bias=False).nodes[:1], node("Transpose", "q", "t"),
                node("MatMulInteger", "q t qp qp", "i"), node("Mul", "qs ws", "u"),
                node("Cast", "i", "f", to=TensorProto.FLOAT), node("Mul", "f u", "y"),
            ],
            tensors={"ws": ONE_STEP}, op="",
        ),
        "has no constant weight matrix with a constant scale",
    ),
    "integers that were not found while it runs": (
        lambda: Form(
            nodes=[
                node("QuantizeLinear", "x ws ip", "q"), node("MatMulInteger", "q w ip", "i"),
                node("Abs", "ws", "qs"), node("Mul", "qs ws", "u"),
                node("Cast", "i", "f", to=TensorProto.FLOAT), node("Mul", "f u", "y"),
            ],
            tensors={
                "w": np.ascontiguousarray(NUMBERS.T).astype(np.int8), "ws": ONE_STEP,
                "ip": np.uint8(3),
            },
            op="",
        ),
        "does not read the result of a DynamicQuantizeLinear",
    ),
    "weight without a scale": (
        lambda: Form(
            nodes=[node("Cast", "w", "f", to=TensorProto.FLOAT), node("MatMul", "x f", "y")],
            tensors={"w": np.ascontiguousarray(NUMBERS.T).astype(np.int8)}, op="",
        ),
        "reads w, which holds INT8 without a scale",
    ),
    "bias without a scale": (
        lambda: layer(
            node("Cast", "b", "f", to=TensorProto.FLOAT), node("Gemm", "x w f", "y"),
            b=np.int32([1, 2, 3, 4]),
        ),
        "reads b, which holds INT32 without a scale",
    ),
    "scales of other classes": (
        lambda: qdq_with("s", np.ones(3, np.float32)),
        "reads w, whose scale or zero point does not fit it",
    ),
    "a weight in steps that are no numbers": (
        lambda: qdq_with("s", np.full(CLASSES, np.nan, np.float32)),
        "reads w, whose scale or zero point does not fit it",
    ),
    "a bias in steps of nothing": (
        lambda: qdq_with("bs", np.zeros(CLASSES, np.float32)),
        "reads b, whose scale or zero point does not fit it",
    ),
    "a bias in steps below zero": (
        lambda: qdq_with("bs", np.full(CLASSES, -0.1, np.float32)),
        "reads b, whose scale or zero point does not fit it",
    ),
    "computed scale": (
        lambda: Form(
            nodes=[
                node("Abs", "s", "a"), node("DequantizeLinear", "w a", "wr"),
                node("Gemm", "x wr", "y", transB=1),
            ],
            tensors={"w": NUMBERS.astype(np.int8), "s": ONE_STEP}, op="",
        ),
        "reads a, which is sparse or not constant",
    ),
    "scores rounded by real numbers": (
        lambda: qdq_with("op", np.float64(0)),
        "rounds its scores by os and op, which are not a constant scale and zero point",
    ),
    "scores rounded by no step": (
        lambda: qdq_with("os", np.float32(0)),
        "rounds its scores by os and op, which are not a constant scale and zero point",
    ),
    "scores rounded by a computed step": (
        lambda: layer(
            node("Gemm", "x w b", "z", transB=1), node("Abs", "s", "a"),
            node("QuantizeLinear", "z a", "q"), node("DequantizeLinear", "q a", "y"),
            s=ONE_STEP, w=WEIGHT,
        ),
        "rounds its scores by a, which are not a constant scale and zero point",
    ),
}  # fmt: skip


def qdq_with(name: str, values: np.ndarray) -> Form:
    form = qdq(NUMBERS, np.ones(CLASSES, np.float32), None, 0)
    return Form(nodes=form.nodes, tensors={**form.tensors, name: values}, op="")


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_head(case: str, tmp_path: Path) -> None:
    make, reason = REFUSED[case]
    model = load(make(), tmp_path)
    with pytest.raises(UnsupportedModelError) as caught:
        find_head(model)
    assert_told(caught.value, f"{tmp_path / 'model.onnx'} has ", reason)
    is_fused = any(each.domain == "com.microsoft" for each in model.proto.graph.node)
    assert ("fused by" if is_fused else "Gemm, MatMul or 1x1 Conv") in caught.value.remedy


def test_an_output_that_is_no_result_of_a_node(tmp_path: Path) -> None:
    proto = build(FORMS["gemm"]())
    proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 6]))
    with pytest.raises(UnsupportedModelError) as caught:
        find_head(load(proto, tmp_path))
    assert_told(caught.value, "x is not computed by any node")


@pytest.mark.parametrize(
    ("domain", "op", "inputs", "remedy"),
    [
        ("ai.onnx.ml", "Normalizer", "x", "refit it without the class"),
        ("com.microsoft", "FusedGemm", "xw", "was fused by ONNX Runtime"),
        ("com.microsoft.nchwc", "Conv", "xw", "laid it out for one processor"),
    ],
)
def test_whose_graph_it_is(domain: str, op: str, inputs: str, remedy: str, tmp_path: Path) -> None:
    """The remedy for a graph that another tool has made its own."""
    proto = build(layer(helper.make_node(op, [*inputs], ["y"], domain=domain)))
    del proto.opset_import[1]
    proto.opset_import.append(helper.make_opsetid(domain, 1))
    with pytest.raises(UnsupportedModelError) as caught:
        find_head(load(proto, tmp_path))
    assert_told(caught.value)
    assert remedy in caught.value.remedy
