"""What holds nothing of a class's row, and features as they are compared."""

import numpy as np
import pytest
from onnx import ModelProto, NodeProto

from nhle_onnx.graph.head.feature_tensors import average_features, list_feature_tensors
from nhle_onnx.values.model import ClassifierHead
from support.graphs import make_model
from support.head_forms import node

TENSORS = {name: np.ones(shape, np.float32) for name, shape in {
    "v": (6, 5), "c": (5,), "w": (4, 5), "b": (4,), "u": (3, 4), "t": (1,),
}.items()}  # fmt: skip
BODY = (node("Gemm", "x v c", "h"), node("Relu", "h", "f"))
HEAD = (node("Gemm", "f w b", "z", transB=1), node("Mul", "z t", "y"))


def make(*nodes: NodeProto, outputs: tuple[str, ...] = ("y",)) -> ModelProto:
    used = {name for each in nodes for name in each.input}
    tensors = {name: values for name, values in TENSORS.items() if name in used}
    return make_model(nodes, {"x": ["n", 6]}, {name: ["n", "k"] for name in outputs}, tensors)


@pytest.mark.parametrize(
    ("nodes", "outputs", "expected"),
    [
        ((*BODY, *HEAD), ("y",), {"x", "v", "c", "h"}),
        ((*BODY, *HEAD[:1], node("Mul", "z c", "y")), ("y",), set()),
        (
            (*BODY, *HEAD, node("Sin", "h", "more")), ("y", "more"),
            {"x", "v", "c"},
        ),
        # a head among the features of another
        (
            (*BODY, *HEAD, node("Gemm", "z u", "other", transB=1)), ("y", "other"),
            {"x", "v", "c", "h"},
        ),
        # no head
        ((*BODY, node("Sin", "f", "y")), ("y",), set()),
    ],
    ids=["plain", "no head any more", "also read elsewhere", "a head in front", "none"],
)  # fmt: skip
def test_what_only_features_need(
    nodes: tuple[NodeProto, ...], outputs: tuple[str, ...], expected: set[str]
) -> None:
    assert list_feature_tensors(make(*nodes, outputs=outputs)) == expected


@pytest.mark.parametrize(
    ("op", "axis", "shape", "mean"),
    [
        ("Conv", -3, (2, 3, 4, 5), (2, 3)),
        ("QLinearConv", -3, (2, 3, 4, 5), (2, 3)),
        ("Conv", -3, (2, 3, 1, 1), None),
        ("MatMul", -2, (2, 3, 4), (2,)),
        ("MatMul", -1, (2, 4, 3), (1,)),
        ("MatMul", -1, (2, 4, 5, 3), (1, 2)),
        ("Gemm", -1, (2, 3), None),
    ],
)
def test_features_are_averaged_over_places(
    op: str, axis: int, shape: tuple[int, ...], mean: tuple[int, ...] | None
) -> None:
    head = ClassifierHead(
        op=op, node="", weight="w", bias=None, bias_scale=1.0, class_axis=0, num_classes=2,
        feature_dim=3, features="f", logits="z", scores="z", is_clamped=False, output="z",
        logits_axis=axis,
    )  # fmt: skip
    features = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    expected = features.reshape(2, 3) if mean is None else features.mean(mean)
    np.testing.assert_allclose(average_features(features, head), expected)
