"""Inputs as people's models have them: open axes, 8-bit pixels, features, constants beside them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from support.graphs import make_model, make_node
from support.runs import Nhle
from support.shipped import EVALUATION, LENET, copy_sidecars

MASK = ("--forget", "3", "--method", "cwm", "--data", EVALUATION, "--force", "--json")
PREPROCESS = "preprocessor_config.json"
Edit = Callable[[ModelProto], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the sidecars of the shipped model."""
    copy_sidecars(tmp_path)
    return tmp_path


def write(folder: Path, edit: Edit) -> Path:
    """Write the shipped LeNet-5, edited."""
    model = onnx.load(LENET)
    edit(model)
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def declare(kind: int, *axes: int | str) -> Edit:
    def edit(model: ModelProto) -> None:
        model.graph.input[0].CopyFrom(helper.make_tensor_value_info("image", kind, axes))
        classes = "k" if isinstance(axes[0], str) else -1
        model.graph.output[0].CopyFrom(
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [axes[0], classes])
        )

    return edit


def prepare_inside(model: ModelProto, *, is_last: bool) -> None:
    """Put the preprocessing into the graph."""
    shape = ["n", 28, 28, 1] if is_last else ["n", 1, 28, 28]
    declare(TensorProto.UINT8, *shape)(model)
    first = next(node for node in model.graph.node if "image" in node.input)
    first.input[0] = "prepared"
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["floats", "255"], ["shares"]),
        helper.make_node("Sub", ["shares", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "std"], ["planes"]),
        helper.make_node("Transpose", ["planes"], ["prepared"], perm=[0, 3, 1, 2])
        if is_last
        else helper.make_node("Identity", ["planes"], ["prepared"]),
    ]
    for node in reversed(nodes):
        model.graph.node.insert(0, node)
    for name, value in {"255": 255, "mean": 0.286, "std": 0.353}.items():
        model.graph.initializer.append(numpy_helper.from_array(np.float32(value), name))


def multiply(model: ModelProto) -> None:
    """Multiply the image by a second input."""
    first = next(node for node in model.graph.node if "image" in node.input)
    first.input[0] = "scaled"
    model.graph.node.insert(0, helper.make_node("Mul", ["image", "scale"], ["scaled"]))
    declared = helper.make_tensor_value_info("scale", TensorProto.FLOAT, ["n", 1, 1, 1])
    model.graph.input.append(declared)


def read_report(result: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever the program left
    report: dict[str, Any] = json.loads(result.out)
    assert report["before"]["acc_r"] > 0.9  # the images were given as the model takes them
    assert report["after"]["acc_f"] == 0
    return report


@pytest.mark.parametrize("axes", [("n", "c", "h", "w"), (-1, -1, -1, -1)])
def test_open_axes(axes: tuple[int | str, ...], nhle: Nhle, folder: Path) -> None:
    path = write(folder, declare(TensorProto.FLOAT, *axes))
    assert "can use nhle-cwm, nhle, cwm" in nhle("inspect", path).out
    read_report(nhle("unlearn", path, *MASK))
    (folder / PREPROCESS).unlink()
    assert "height and width open" in nhle("inspect", path).out
    numbers = ("--mean", "0.286", "--std", "0.353")
    assert nhle("unlearn", path, *MASK, *numbers).code == 4
    read_report(nhle("unlearn", path, *MASK, *numbers, "--size", "28,28"))
    (folder / "config.json").write_text('{"image_size": 28}')
    read_report(nhle("unlearn", path, *MASK, *numbers))


@pytest.mark.parametrize("is_last", [False, True])
@pytest.mark.parametrize("is_described", [False, True])
def test_pixels_with_the_preprocessing_in_the_graph(
    is_last: bool,  # noqa: FBT001 - a parameter
    is_described: bool,  # noqa: FBT001 - a parameter
    nhle: Nhle,
    folder: Path,
) -> None:
    path = write(folder, lambda model: prepare_inside(model, is_last=is_last))
    if not is_described:
        (folder / PREPROCESS).unlink()
    assert "can use nhle-cwm, nhle, cwm" in nhle("inspect", path).out
    read_report(nhle("unlearn", path, *MASK))


def test_a_second_input_is_held_at_a_constant(nhle: Nhle, folder: Path) -> None:
    path, edited = write(folder, multiply), folder / "edited.onnx"
    assert "has 2 inputs (image, scale)" in nhle("inspect", path).out
    assert "--input NAME=VALUE" in nhle("unlearn", path, *MASK).err
    assert "can use nhle-cwm, nhle, cwm" in nhle("inspect", path, "--input", "scale=1").out
    read_report(nhle("unlearn", path, *MASK, "--out", edited, "--input", "scale=1"))
    before, after = onnx.load(path), onnx.load(edited)
    assert list(after.graph.input) == list(before.graph.input)
    names = [[tensor.name for tensor in each.graph.initializer] for each in (before, after)]
    assert names[0] == names[1]
    told = nhle("verify", edited, "--forget", "3", "--data", EVALUATION, "--input", "scale=1")
    assert "Acc_F" in told.out
    kit = ("kit", edited, "--forget", "3", "--data", EVALUATION, "--out", folder / "kit.zip")
    assert "inputs beside the images" in nhle(*kit, "--input", "scale=1").err


def write_features(folder: Path, kind: type, shape: tuple[int, ...]) -> Path:
    """Write a network of two layers, the second fitted to clusters about a mean for each class."""
    rng = np.random.default_rng(0)
    classes = np.arange(800) % 4
    x = (rng.normal(size=(4, 12))[classes] + rng.normal(size=(800, 12)) / 2).astype(kind)
    np.savez(folder / "samples.npz", x=x.reshape(-1, *shape), y=classes)
    hidden = rng.normal(size=(12, 32)).astype(kind) / 3
    features = np.maximum(x @ hidden, 0)
    head = np.linalg.solve(features.T @ features + np.eye(32), features.T @ np.eye(4)[classes] * 8)
    nodes = [
        make_node("Flatten", "x", "f"), make_node("MatMul", "f w", "z"),
        make_node("Relu", "z", "r"), make_node("MatMul", "r h", "y"),
    ]  # fmt: skip
    tensors = {"w": hidden, "h": head.astype(kind)}
    declared = {"x": x[:1].reshape(1, *shape)}, {"y": x[:1, :4]}
    model = make_model(nodes, *declared, tensors)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(12,), (3, 4)])
def test_features_that_are_not_images(
    kind: type, shape: tuple[int, ...], nhle: Nhle, tmp_path: Path
) -> None:
    path = write_features(tmp_path, kind, shape)
    assert "can use nhle-cwm, nhle, cwm" in nhle("inspect", path).out
    data = ("--forget", "2", "--samples", tmp_path / "samples.npz")
    assert nhle("unlearn", path, *data, "--dry-run").code == 0
    (tmp_path / "images" / "2").mkdir(parents=True)
    told = nhle("unlearn", path, "--forget", "2", "--samples", tmp_path / "images")
    assert f"is [N, {', '.join(map(str, shape))}]" in told.err


def test_features_in_double_are_forgotten(nhle: Nhle, tmp_path: Path) -> None:
    path = write_features(tmp_path, np.float64, (3, 4))
    data = ("--forget", "2", "--samples", tmp_path / "samples.npz", "--steps", "150")
    report = json.loads(nhle("unlearn", path, *data, "--json").out)
    assert report["before"]["acc_f"] > 0.9
    assert report["unmasked"]["acc_f"] < 0.2
    assert report["after"]["acc_r"] > 0.9
    edited = onnx.load(tmp_path / "model.unlearned.onnx")
    assert {tensor.data_type for tensor in edited.graph.initializer} == {TensorProto.DOUBLE}
