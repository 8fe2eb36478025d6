"""Which tensors each scope trains, on networks whose layers are known by name."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.load import load_model
from nhle_onnx.hints import word
from nhle_onnx.unlearning.scope import count_trained, describe_share, select_tensors
from nhle_onnx.values.model import ClassifierHead, OnnxModel
from support.graphs import make_model, make_node
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
    """Convolution, something between, two convolutions, and a head."""
    shapes = {"a": (2, 1, 1, 1), "b": (2, 2, 1, 1), "d": (2, 2, 1, 1), "w": (3, 2), "c": (3,)}
    strides = {"strides": [stride, 1]} if stride else {}
    kernel = {"kernel_shape": [1, 1]} if "Pool" in pooling else {}
    names = ["y", "a2"] if pooling == "Conv" else ["y"]
    shapes |= {"a2": (2, 2, 1, 1)} if pooling == "Conv" else {}
    nodes = [
        helper.make_node("Conv", ["x", "a"], ["y"]),
        helper.make_node(pooling, names, ["p"], **kernel, **strides),
        helper.make_node("Conv", ["p", "b"], ["r"]),
        helper.make_node("Conv", ["r", "d"], ["q"]),
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
        assert [name for name in chosen if name != "a2"] == (["b", "d"] if early else ["d"])
        assert not {"w", "c"} & set(chosen)


def test_of_a_model_that_never_loses_resolution_the_last_third_is_its_last_stage(
    tmp_path: Path,
) -> None:
    """Also where only a stem does, as in a ViT: what is trained takes most of its memory."""
    model, head = load_layers(tmp_path, others=0)
    assert select_tensors(model, head, "all")[:4] == ("w0", "w1", "w2", "w3")
    assert select_tensors(model, head, "last-stage") == ("w3",)


def test_the_head_of_a_model_without_a_bias_is_its_weight(tmp_path) -> None:  # noqa: ANN001
    proto = make_network("Relu", 0)
    del proto.graph.node[-1].input[2:]
    path = tmp_path / "bare.onnx"
    onnx.save(proto, path)
    model = load_model(path)
    assert select_tensors(model, find_head(model), "head") == ("w",)


def load_layers(folder: Path, *, others: int) -> tuple[OnnxModel, ClassifierHead]:
    """Four layers of 100 weights each; of the first ones, training does not know so many."""
    names = [f"w{index}" for index in range(4)]
    nodes, tensors = [], {"head": np.ones((3, 10), np.float32), "bias": np.ones(3, np.float32)}
    for index, name in enumerate(names):
        tensors[name] = np.arange(100, dtype=np.float32).reshape(10, 10)
        read = f"{name}.read" if index < others else name
        if index < others:
            nodes.append(make_node("Neg" if index else "Abs", name, read))
        nodes.append(make_node("MatMul", f"{names[index - 1]}.y {read}" if index else f"x {read}",
                               f"{name}.y"))  # fmt: skip
    nodes.append(make_node("Gemm", f"{names[-1]}.y head bias", "y", transB=1))
    model = make_model(nodes, {"x": ["n", 10]}, {"y": ["n", 3]}, tensors)
    onnx.save(model, folder / "layers.onnx")
    loaded = load_model(folder / "layers.onnx")
    return loaded, find_head(loaded)


@pytest.mark.parametrize(
    ("others", "names", "counted", "note"),
    [
        (0, ("w0", "w1", "w2", "w3"), (400, 400), None),
        (0, ("w1", "w2", "w3", "head"), (300, 400), "(75 %): the others lie outside --scope"),
        (1, ("w1", "w2", "w3"), (300, 400), "(75 %): w0 is read by Abs, which holds no weight"),
        (2, ("w2", "w3", "bias"), (200, 400), "(50 %): w0 is read by Abs, which holds no weight"),
        (4, (), (0, 400), "(0 %): w0 is read by Abs, which holds no weight that training knows"),
    ],
)
def test_what_is_not_trained_is_told(
    others: int, names: tuple[str, ...], counted: tuple[int, int], note: str | None, tmp_path: Path
) -> None:
    model, head = load_layers(tmp_path, others=others)
    assert count_trained(model, head, names) == counted
    notes = describe_share(model, head, names, "features")
    begins = f"{counted[0]} of 400 weights before the head are trained "
    assert [word(each, "flags").startswith(begins + str(note)) for each in notes] == (
        [] if note is None else [True]
    )
    assert not any("XX" in each for each in notes)
    assert describe_share(model, head, names, "head") == ()


def test_a_part_that_hardly_counts_is_not_told(tmp_path: Path) -> None:
    """Less than a twentieth."""
    model, head = load_layers(tmp_path, others=0)
    small = next(each for each in model.proto.graph.initializer if each.name == "w0")
    for rows, is_told in ((1, False), (2, True)):
        small.dims[:] = [rows, 10]
        names = ("w1", "w2", "w3")
        assert bool(describe_share(model, head, names, "all")) is is_told
        assert count_trained(model, head, names) == (300, 300 + 10 * rows)
