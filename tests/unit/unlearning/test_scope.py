"""Which tensors each scope trains, on networks whose layers are known by name."""

import numpy as np
import onnx
import pytest
from onnx import helper

from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.load import load_model
from nhle_onnx.unlearning.scope import select_tensors
from support.graphs import make_model
from support.shipped import LENET, MOBILENET

LENET_FEATURES = [
    f"features.{layer}.{part}" for layer in (0, 3, 7, 9) for part in ("weight", "bias")
]
LENET_HEAD = ["classifier.weight", "classifier.bias"]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("all", LENET_FEATURES + LENET_HEAD),
        ("features", LENET_FEATURES[2:]),  # its first convolution holds 156 of 61,000 weights
        ("head", LENET_HEAD),
        ("last-stage", LENET_FEATURES[4:]),  # behind the second pooling
    ],
)
def test_each_scope_trains_its_part_of_lenet(scope: str, expected: list[str]) -> None:
    model = load_model(LENET)
    assert list(select_tensors(model, find_head(model), scope)) == expected


def test_last_stage_is_what_works_at_the_lowest_resolution() -> None:
    """Strided convolutions lose it in MobileNetV3: nodes with strides, by the file itself."""
    model = load_model(MOBILENET)
    nodes = onnx.load(MOBILENET).graph.node
    strided = [
        index for index, node in enumerate(nodes)
        for attribute in node.attribute
        if attribute.name == "strides" and max(attribute.ints) > 1
    ]  # fmt: skip
    after = {name for node in nodes[strided[-1] + 1 :] for name in node.input}
    head = find_head(model)
    features = select_tensors(model, head, "features")
    expected = [name for name in features if name in after]
    assert list(select_tensors(model, head, "last-stage")) == expected
    assert 0 < len(expected) < len(features)


def test_the_earliest_hundredth_of_the_weights_is_left_as_it_is() -> None:
    """And nothing else: the next tensor would be more."""
    model = load_model(MOBILENET)
    head = find_head(model)
    own = select_tensors(model, head, "head")
    every = [name for name in select_tensors(model, head, "all") if name not in own]
    trained = select_tensors(model, head, "features")
    assert list(trained) == every[len(every) - len(trained) :]
    sizes = {each.name: np.prod(each.dims) for each in model.proto.graph.initializer}
    total = sum(sizes[name] for name in every)
    left = sum(sizes[name] for name in every[: len(every) - len(trained)])
    assert left <= 0.01 * total < left + sizes[trained[0]]


def make_network(pooling: str, stride: int) -> onnx.ModelProto:
    """Convolution, something between, convolution, and a head."""
    shapes = {"a": (2, 1, 1, 1), "b": (2, 2, 1, 1), "w": (3, 2), "c": (3,)}
    strides = {"strides": [stride, 1]} if stride else {}
    kernel = {"kernel_shape": [1, 1]} if "Pool" in pooling else {}
    names = ["y", "a2"] if pooling == "Conv" else ["y"]
    shapes |= {"a2": (2, 2, 1, 1)} if pooling == "Conv" else {}
    nodes = [
        helper.make_node("Conv", ["x", "a"], ["y"]),
        helper.make_node(pooling, names, ["p"], **kernel, **strides),
        helper.make_node("Conv", ["p", "b"], ["q"]),
        helper.make_node("GlobalAveragePool", ["q"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "c"], ["z"], transB=1),
    ]
    tensors = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    return make_model(nodes, {"x": [None, 1, 4, 4]}, {"z": [None, 3]}, tensors)


@pytest.mark.parametrize("pooling", ["MaxPool", "AveragePool", "Conv"])
def test_strides_begin_the_last_stage(pooling: str, tmp_path) -> None:  # noqa: ANN001
    for stride, early in ((2, True), (1, False), (0, False)):
        path = tmp_path / f"{stride}.onnx"
        onnx.save(make_network(pooling, stride), path)
        model = load_model(path)
        chosen = select_tensors(model, find_head(model), "last-stage")
        assert ("a" not in chosen) == early
        assert "b" in chosen
        assert not {"w", "c"} & set(chosen)


def test_a_model_that_never_loses_resolution_is_one_stage(tmp_path) -> None:  # noqa: ANN001
    path = tmp_path / "relu.onnx"
    onnx.save(make_network("Relu", 0), path)
    model = load_model(path)
    head = find_head(model)
    assert select_tensors(model, head, "last-stage") == ("a", "b")


def test_the_head_of_a_model_without_a_bias_is_its_weight(tmp_path) -> None:  # noqa: ANN001
    proto = make_network("Relu", 0)
    del proto.graph.node[-1].input[2:]
    path = tmp_path / "bare.onnx"
    onnx.save(proto, path)
    model = load_model(path)
    assert select_tensors(model, find_head(model), "head") == ("w",)
