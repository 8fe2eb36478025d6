"""The .ort format without the program around it: converting, and comparing with the .onnx file."""

import contextlib
import logging
import sys

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.image_input import read_image_input
from nhle_onnx.graph.load import load_model
from nhle_onnx.hints import word
from nhle_onnx.release.ort_format import (
    Comparison,
    _measure_difference,
    compare_detectors,
    compare_with_onnx,
    convert_to_ort,
)
from nhle_onnx.runtime.noise import make_noise
from nhle_onnx.values.preprocess import ImageInput
from support.assertions import assert_told
from support.graphs import make_model, make_node, run_model
from support.shipped import LENET


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08"])
def test_what_is_no_model(content: bytes) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        convert_to_ort(content)
    assert_told(caught.value, "ONNX Runtime cannot make a .ort file of this model: ")
    assert "\n" not in caught.value.reason
    assert "Leave out --also ort" in word(caught.value.remedy, "flags")


def test_differences_of_masked_scores() -> None:
    """The lowest number of a format and minus infinity are the same in both, or not."""
    lowest = np.finfo(np.float32).min
    scores = np.array([[1.0, lowest, -np.inf, np.nan, 100.0]], np.float32)
    assert _measure_difference(scores, scores.copy()) == 0.0
    other = scores.copy()
    other[0, 4] = 101.0
    assert _measure_difference(other, scores) == pytest.approx(0.01)
    for index, value in ((1, 0.0), (2, 0.0), (3, 0.0), (0, np.nan), (0, np.inf)):
        other = scores.copy()
        other[0, index] = value
        assert _measure_difference(other, scores) >= 1.0


def test_comparison_of_another_model() -> None:
    model = load_model(LENET)
    target = read_image_input(model, layout=None)
    other = ModelProto()
    other.CopyFrom(model.proto)
    bias = next(tensor for tensor in other.graph.initializer if list(tensor.dims) == [10])
    bias.raw_data = np.arange(10, dtype=np.float32).tobytes()
    output = model.proto.graph.output[0].name
    converted = convert_to_ort(other)
    images = make_noise(target)
    assert compare_with_onnx(converted, other, output, images, target, 8).passed
    from_bytes = convert_to_ort(other.SerializeToString())
    assert compare_with_onnx(from_bytes, other, output, images, target, 8).passed
    assert not compare_with_onnx(converted, model.proto, output, images, target, 8).passed


def test_converting_leaves_no_trace(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed, and whoever logs goes on logging; also where it fails."""
    before = logging.root.manager.disable, logging.root.handlers[:]
    modules = {name for name in sys.modules if name.split(".")[0] == "torch"}
    for content, is_good in ((onnx.load(LENET), True), (b"no model", False)):
        with contextlib.nullcontext() if is_good else pytest.raises(UnsupportedModelError):
            assert convert_to_ort(content)[4:8] == b"ORTM"
        assert (logging.root.manager.disable, logging.root.handlers) == before
        assert {name for name in sys.modules if name.split(".")[0] == "torch"} == modules
    assert capfd.readouterr() == ("", "")


def test_a_model_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx.load(LENET)
    size = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    monkeypatch.setattr("nhle_onnx.release.ort_format.MAX_PROTO_BYTES", size - 1)
    with pytest.raises(UnsupportedModelError) as caught:
        convert_to_ort(model)
    assert_told(caught.value, "the .ort format cannot hold a model above 2 GiB")
    assert "Leave out --also ort" in word(caught.value.remedy, "flags")
    monkeypatch.setattr("nhle_onnx.release.ort_format.MAX_PROTO_BYTES", size)
    assert convert_to_ort(model)


@pytest.mark.parametrize(
    ("agreement", "difference", "passed"),
    [(0.999, 0.01, True), (0.9989, 0.0, False), (1.0, 0.0101, False), (1.0, 0.0, True)],
)
def test_when_two_files_are_one_model(
    agreement: float,
    difference: float,
    passed: bool,  # noqa: FBT001 - a parameter
) -> None:
    found = Comparison(images=3, agreement=agreement, largest_difference=difference)
    assert found.passed is passed


def test_a_comparison_counts_answers_and_differences() -> None:
    """One class's score is lifted: some images change their class."""
    model = load_model(LENET)
    target = read_image_input(model, layout=None)
    lifted = ModelProto()
    lifted.CopyFrom(model.proto)
    bias = next(tensor for tensor in lifted.graph.initializer if list(tensor.dims) == [10])
    values = np.frombuffer(bias.raw_data, np.float32).copy()
    values[4] += 3
    bias.raw_data = values.tobytes()
    images = make_noise(target, 40)
    assert images.shape == (40, 1, 28, 28)
    assert images.tobytes() == make_noise(target, 40).tobytes()
    assert len(make_noise(target)) == 16
    scores = [run_model(each, images)[0] for each in (lifted, model.proto)]
    output = model.proto.graph.output[0].name
    found = compare_with_onnx(convert_to_ort(lifted), model.proto, output, images, target, 7)
    share = (scores[0].argmax(1) == scores[1].argmax(1)).mean()
    assert 0 < share < 1
    assert (found.images, found.agreement) == (40, pytest.approx(share))
    expected = (np.abs(scores[0] - scores[1]) / np.maximum(1, np.abs(scores[1]))).max()
    assert found.largest_difference == pytest.approx(expected, rel=1e-4)


def make_two_outputs(*scales: float) -> ModelProto:
    """Two outputs, each the input times a number."""
    nodes = [make_node("Mul", f"x c{index}", f"y{index}") for index in range(2)]
    constants = {f"c{index}": np.array(scale, np.float32) for index, scale in enumerate(scales)}
    outputs = {f"y{index}": ("n", 1, 2, 2) for index in range(2)}
    return make_model(nodes, {"x": ("n", 1, 2, 2)}, outputs, constants)


def test_detectors_agree_where_every_number_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three images, the third has numbers that differ: in one of two outputs."""
    model, other = make_two_outputs(1.0, 1.0), make_two_outputs(1.0, 1.02)
    images = (
        np.ones((4, 1, 2, 2), np.float32)
        * np.array([0, 0.4, 1, 2], np.float32)[:, None, None, None]
    )
    target = ImageInput(
        name="x", dtype="float32", batch=None, channels=1, height=2, width=2, layout="NCHW"
    )
    found = compare_detectors(convert_to_ort(other), model, ("y0", "y1"), images, target, 3)
    assert (found.images, found.agreement) == (4, 0.5)
    assert found.largest_difference == pytest.approx(0.02, rel=1e-3)
    same = compare_detectors(convert_to_ort(model), model, ("y0", "y1"), images, target, 3)
    assert same == Comparison(images=4, agreement=1.0, largest_difference=0.0)
    monkeypatch.setattr("nhle_onnx.release.ort_format.MAX_DIFFERENCE", 0.0)
    same = compare_detectors(convert_to_ort(model), model, ("y0", "y1"), images, target, 3)
    assert same.agreement == 1.0


@pytest.mark.parametrize(("name", "difference"), [("y0", 0.0), ("y1", 0.02), ("inner", 0.0)])
def test_an_inner_tensor_is_compared_by_the_first_output(name: str, difference: float) -> None:
    """A .ort file has no other than its outputs."""
    model, other = make_two_outputs(1.0, 1.0), make_two_outputs(1.0, 1.02)
    images = np.ones((2, 1, 2, 2), np.float32)
    target = ImageInput(
        name="x", dtype="float32", batch=None, channels=1, height=2, width=2, layout="NCHW"
    )
    found = compare_with_onnx(convert_to_ort(other), model, name, images, target, 3)
    assert found.largest_difference == pytest.approx(difference, rel=1e-3)
