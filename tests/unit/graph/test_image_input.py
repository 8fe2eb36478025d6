"""The one input of a classifier, by its axes: images, features, and what no sample fits."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from nhle_onnx.errors import UnsupportedModelError, UsageError
from nhle_onnx.graph.first_layer import find_first_layer
from nhle_onnx.graph.fixed_inputs import fix_inputs, free_inputs
from nhle_onnx.graph.image_input import FindSize, read_image_input
from nhle_onnx.hints import word
from nhle_onnx.values.model import OnnxModel
from nhle_onnx.values.preprocess import ImageInput, Layout
from support.assertions import assert_told
from support.shipped import LENET

Edit = Callable[[ModelProto], object]


def set_axes(*extents: int | str, kind: int = TensorProto.FLOAT) -> Edit:
    def edit(model: ModelProto) -> None:
        old = model.graph.input[0]
        old.CopyFrom(helper.make_tensor_value_info(old.name, kind, extents))

    return edit


def find_no_size(_: ImageInput) -> None:
    return None


def read_input(
    edit: Edit, layout: Layout | None = None, find_size: FindSize = find_no_size
) -> ImageInput:
    proto = onnx.load(LENET)
    edit(proto)
    model = OnnxModel(path=Path("model.onnx"), proto=proto, sha256="", size_bytes=0)
    return read_image_input(model, layout=layout, find_size=find_size)


@pytest.mark.parametrize(
    ("extents", "layout", "expected"),
    [
        (("n", 3, 20, 30), None, (None, 3, 20, 30, "NCHW")),
        (("n", 20, 30, 3), None, (None, 3, 20, 30, "NHWC")),
        ((8, 1, 20, 30), None, (8, 1, 20, 30, "NCHW")),
        ((0, 20, 30, 4), None, (None, 4, 20, 30, "NHWC")),
        ((1, 3, 20, 4), None, (1, 3, 20, 4, "NCHW")),
        ((1, 3, 20, 4), "NHWC", (1, 4, 3, 20, "NHWC")),
        ((1, 4, 3, 1), "NCHW", (1, 4, 3, 1, "NCHW")),
        (("n", 5, 20, 30), None, (None, 5, 20, 30, "NCHW")),
        (("n", 20, 30, 5), "NHWC", (None, 5, 20, 30, "NHWC")),
        ((-1, 3, 20, 30), None, (None, 3, 20, 30, "NCHW")),
    ],
)
def test_image_inputs(
    extents: tuple[int | str, ...], layout: Layout | None, expected: tuple[object, ...]
) -> None:
    for kind, name in ((1, "float32"), (10, "float16"), (16, "bfloat16")):
        found = read_input(set_axes(*extents, kind=kind), layout)
        values = (found.batch, found.channels, found.height, found.width, found.layout)
        assert values == expected
        assert (found.name, found.dtype) == ("image", name)


def declare_weights(model: ModelProto) -> None:
    for tensor in model.graph.initializer:
        value = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        model.graph.input.insert(0, value)


def add_input(model: ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, [1]))


def test_weights_are_no_image_input() -> None:
    assert read_input(declare_weights) == read_input(lambda _: None)


@pytest.mark.parametrize("opened", [["n", "c", "h", "w"], [-1] * 4, [0] * 4])
def test_open_axes_are_found_elsewhere(opened: list[int | str]) -> None:
    """Channels in the first convolution; the size by whoever knows it."""
    found = read_input(set_axes(*opened), find_size=lambda _: (28, 30))
    assert (found.batch, found.sample_shape) == (None, (1, 28, 30))


def test_a_known_side_stays() -> None:
    assert read_input(set_axes("n", 1, 28, "w"), find_size=lambda _: (7, 9)).width == 9
    assert read_input(set_axes("n", 1, 28, "w"), find_size=lambda _: (7, 9)).height == 28


@pytest.mark.parametrize("prepared", [False, True])
def test_a_layout_that_no_extent_tells_is_that_of_the_first_layer(prepared: bool) -> None:  # noqa: FBT001 - a parameter
    def turn(model: ModelProto) -> None:
        set_axes("n", "h", "w", "c", kind=TensorProto.UINT8 if prepared else TensorProto.FLOAT)(
            model
        )
        first = next(node for node in model.graph.node if "image" in node.input)
        first.input[0] = "turned"
        nodes = [helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT)]
        nodes.append(helper.make_node("Transpose", ["floats"], ["turned"], perm=[0, 3, 1, 2]))
        for node in reversed(nodes):
            model.graph.node.insert(0, node)

    found = read_input(turn, find_size=lambda _: (28, 28))
    assert (found.layout, found.sample_shape) == ("NHWC", (28, 28, 1))
    assert found.dtype == ("uint8" if prepared else "float32")


@pytest.mark.parametrize(
    ("extents", "batch", "features"),
    [(("n", 12), None, (12,)), ((4, 12), 4, (12,)), (("n", 7, 12), None, (7, 12))],
)
def test_features_that_are_not_images(
    extents: tuple[int | str, ...], batch: int | None, features: tuple[int, ...]
) -> None:
    found = read_input(set_axes(*extents, kind=TensorProto.DOUBLE))
    assert (found.batch, found.sample_shape, found.layout) == (batch, features, None)
    assert (found.dtype, found.takes_pictures) == ("double", False)


def test_an_open_number_of_features_is_that_of_the_first_layer() -> None:
    def flatten(model: ModelProto) -> None:
        set_axes("n", "d")(model)
        weight = numpy_helper.from_array(np.ones((12, 5), np.float32), "first")
        model.graph.initializer.append(weight)
        model.graph.node.insert(0, helper.make_node("MatMul", ["image", "first"], ["hidden"]))

    assert read_input(flatten).sample_shape == (12,)


def test_other_inputs_can_be_held_at_constants() -> None:
    proto = onnx.load(LENET)
    add_input(proto)
    model = OnnxModel(path=Path("model.onnx"), proto=proto, sha256="", size_bytes=0)
    fixed = fix_inputs(model, ["second=2.5"])
    assert read_image_input(fixed).name == "image"
    assert numpy_helper.to_array(fixed.proto.graph.initializer[-1]).tolist() == [2.5]
    assert len(model.proto.graph.initializer) == len(fixed.proto.graph.initializer) - 1
    assert free_inputs(fixed.proto, fixed.constants) == model.proto


@pytest.mark.parametrize(
    ("given", "reason", "remedy"),
    [
        ("third=1", "has no input third", "image, second"),
        ("second=big", "'big': it needs numbers", "--input NAME=0.5"),
        ("second", "'': it needs numbers", "--input NAME=0.5"),
        ("second=1,2", "has 1 elements, [1], but 2 numbers were given", "one for each"),
    ],
)
def test_constants_that_do_not_fit(given: str, reason: str, remedy: str) -> None:
    proto = onnx.load(LENET)
    add_input(proto)
    model = OnnxModel(path=Path("model.onnx"), proto=proto, sha256="", size_bytes=0)
    with pytest.raises(UsageError) as caught:
        fix_inputs(model, [given])
    assert_told(caught.value, reason)
    assert remedy in word(caught.value.remedy, "flags")


@pytest.mark.parametrize(
    ("edit", "reason", "remedy"),
    [
        (add_input, "has 2 inputs (image, second); an image classifier has one", "--input NAME="),
        (
            lambda model: model.graph.ClearField("input"),
            "has 0 inputs (); an image classifier has one", "only input",
        ),
        (set_axes("n", 3, 4, 5, 6), "input image is float32 with 5 axes", "has 4 axes"),
        (set_axes("n"), "input image is float32 with 1 axes", "has 4 axes"),
        (
            set_axes("n", 3, 4, 5, kind=TensorProto.INT32),
            "input image is int32 with 4 axes", "floats, or 8-bit pixels",
        ),
        (set_axes("n", 3, "h", 30), "height and width open: [n, 3, h, 30]", "--size HEIGHT,WIDTH"),
        (set_axes("n", 3, -1, 30), "height and width open: [n, 3, ?, 30]", "--size HEIGHT,WIDTH"),
        (
            set_axes("n", "time", 12), "leaves axes of a sample open: [n, time, 12]",
            "make_dynamic_shape_fixed",
        ),
    ],
)  # fmt: skip
def test_inputs_that_no_sample_fits(edit: Edit, reason: str, remedy: str) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        read_input(edit)
    assert_told(caught.value, "model.onnx", reason)
    assert remedy in word(caught.value.remedy, "flags")


@pytest.mark.parametrize("op_type", ["FusedConv", "QGemm", "Add", "Conv"])
def test_a_first_layer_that_is_broken_tells_nothing(op_type: str) -> None:
    """Nobody checks how many inputs and outputs a stranger's operator has."""
    node = helper.make_node(op_type, ["image"], [], domain="a.strangers")
    graph = helper.make_graph([node], "broken", [], [])
    assert find_first_layer(helper.make_model(graph), "image") is None
    node = helper.make_node(op_type, ["image", "w", "w", "w"], ["y"])
    graph = helper.make_graph(
        [node], "flat", [], [], [numpy_helper.from_array(np.ones(3, np.float32), "w")]
    )
    assert find_first_layer(helper.make_model(graph), "image") is None


def test_a_constant_for_text_is_refused() -> None:
    proto = onnx.load(LENET)
    proto.graph.input.append(helper.make_tensor_value_info("text", TensorProto.STRING, [1]))
    model = OnnxModel(path=Path("model.onnx"), proto=proto, sha256="", size_bytes=0)
    with pytest.raises(UsageError, match="the input text holds no numbers"):
        fix_inputs(model, ["text=1"])
