"""The one input of an image classifier, by its axes; and what is no image."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.image_input import read_image_input
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


def read_input(edit: Edit, layout: Layout | None = None) -> ImageInput:
    proto = onnx.load(LENET)
    edit(proto)
    model = OnnxModel(path=Path("model.onnx"), proto=proto, sha256="", size_bytes=0)
    return read_image_input(model, layout=layout)


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


@pytest.mark.parametrize(
    ("edit", "reason", "remedy"),
    [
        (add_input, "has 2 inputs (image, second); an image classifier has one", "only input"),
        (
            lambda model: model.graph.ClearField("input"),
            "has 0 inputs (); an image classifier has one", "only input",
        ),
        (set_axes("n", 3, 4), "input image is float with 3 axes", "with 4 axes"),
        (set_axes("n", 3, 4, 5, 6), "input image is float with 5 axes", "with 4 axes"),
        (
            set_axes("n", 3, 4, 5, kind=TensorProto.UINT8),
            "input image is uint8 with 4 axes", "is float",
        ),
        (set_axes("n", 5, 20, 30), "no fixed image size: [0, 5, 20, 30]", "--layout NCHW|NHWC"),
        (set_axes("n", 3, "h", 30), "no fixed image size: [0, 3, 0, 30]", "--layout NCHW|NHWC"),
        (set_axes("n", 3, 20, "w"), "no fixed image size: [0, 3, 20, 0]", "--layout NCHW|NHWC"),
    ],
)  # fmt: skip
def test_inputs_that_are_no_image(edit: Edit, reason: str, remedy: str) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        read_input(edit)
    assert_told(caught.value, "model.onnx", reason)
    assert remedy in word(caught.value.remedy, "flags")
