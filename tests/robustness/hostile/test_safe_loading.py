"""Reading models safely takes nothing from good ones: weights outside, links, limits."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nhle_onnx.graph.load import load_model
from support.runs import Nhle
from support.shipped import EVALUATION, LENET

MASK = ("--forget", 3, "--method", "cwm", "--quiet", "--allow-unjudged")


def move_weights(model: Path, *locations: str) -> onnx.ModelProto:
    """Keep weights in files by turns, aligned to 64 bytes, and return what the model now is."""
    proto = onnx.load(model)
    contents = {location: bytearray() for location in locations}
    for index, tensor in enumerate(proto.graph.initializer):
        location = locations[index % len(locations)]
        content = contents[location]
        content.extend(bytes(-len(content) % 64))
        values = {"location": location, "offset": len(content), "length": len(tensor.raw_data)}
        content.extend(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in values.items():
            tensor.external_data.add(key=key, value=str(value))
    for location, content in contents.items():
        path = model.parent / location
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    onnx.save(proto, model)
    return proto


def read_weights(model: Path) -> dict[str, np.ndarray]:
    """As onnx reads them."""
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(model).graph.initializer}


@pytest.mark.parametrize(
    "locations", [("w.bin",), ("./w.bin",), ("a/w.bin", "b/w.bin", "report.json")]
)
def test_weights_outside_are_read_and_edited(
    nhle: Nhle, lenet_copy: Path, tmp_path: Path, locations: tuple[str, ...]
) -> None:
    move_weights(lenet_copy, *locations)
    loaded = load_model(lenet_copy)
    assert loaded.sidecars == {
        name: hashlib.sha256((lenet_copy.parent / name).read_bytes()).hexdigest()
        for name in locations
    }
    out = tmp_path / "edited.onnx"
    assert nhle("unlearn", lenet_copy, *MASK, "--out", out).code == 0
    before, after = read_weights(LENET), read_weights(out)
    changed = [name for name in before if (before[name] != after[name]).any()]
    assert changed == ["classifier.weight", "classifier.bias"]
    assert nhle("inspect", out).code == 0


def test_a_model_behind_a_link_is_read(nhle: Nhle, lenet_copy: Path, tmp_path: Path) -> None:
    """As in a cache of downloads: what the model names lies where the link leads."""
    move_weights(lenet_copy, "w.bin")
    link = tmp_path / "link.onnx"
    link.symlink_to(lenet_copy)
    out = tmp_path / "edited.onnx"
    assert nhle("unlearn", link, *MASK, "--out", out).code == 0
    assert (
        read_weights(out)["features.0.weight"] == read_weights(LENET)["features.0.weight"]
    ).all()


def test_checksum_stays_true(nhle: Nhle, lenet_copy: Path, tmp_path: Path) -> None:
    proto = move_weights(lenet_copy, "w.bin")
    digest = hashlib.sha1((lenet_copy.parent / "w.bin").read_bytes()).hexdigest()  # noqa: S324 - ONNX's
    for tensor in proto.graph.initializer:
        tensor.external_data.add(key="checksum", value=digest)
    onnx.save(proto, lenet_copy)
    out = tmp_path / "edited.onnx"
    assert nhle("unlearn", lenet_copy, *MASK, "--out", out).code == 0
    assert nhle("inspect", out).code == 0
    sidecar = out.with_name("edited.onnx.data").read_bytes()
    stated = {
        entry.value
        for tensor in onnx.load(out, load_external_data=False).graph.initializer
        for entry in tensor.external_data
        if entry.key == "checksum"
    }
    assert stated == {hashlib.sha1(sidecar).hexdigest()}  # noqa: S324


@pytest.mark.parametrize(
    "command",
    [
        ("inspect", LENET),
        ("unlearn", LENET, *MASK),
        ("verify", LENET, "--forget", 3, "--data", EVALUATION),
        ("audit", LENET, "--baseline", LENET, "--forget", 3, "--data", EVALUATION),
        ("diff", LENET, LENET),
        ("patch", "create", LENET, LENET, "-o", "{folder}/p"),
        ("kit", LENET, "--forget", 3, "--data", EVALUATION, "-o", "{folder}/k"),
    ],
    ids=lambda command: command[0],
)
def test_results_beyond_the_limit_are_refused(
    nhle: Nhle, tmp_path: Path, command: tuple[object, ...]
) -> None:
    arguments = [str(part).format(folder=tmp_path) for part in command]
    result = nhle(*arguments, "--max-elements", 10_000)
    assert result.code == 3
    assert "more than 10,000" in result.err
    assert list(tmp_path.iterdir()) == []


def test_limit_counts_results(nhle: Nhle) -> None:
    """LeNet-5 has 61,706 weights; no result of it is larger."""
    assert nhle("inspect", LENET, "--max-elements", 61_706).code == 0
    assert nhle("inspect", LENET, "--max-elements", 61_705).code == 3


def test_open_axes_are_no_bomb(nhle: Nhle, lenet_copy: Path) -> None:
    """Old converters write -1 for any batch, and may declare nothing at all of a result."""
    model = onnx.load(lenet_copy)
    axis = model.graph.input[0].type.tensor_type.shape.dim[0]
    axis.dim_value = -1
    onnx.save(model, lenet_copy)
    assert nhle("inspect", lenet_copy).code == 0


def test_functions_are_no_fault(nhle: Nhle, lenet_copy: Path) -> None:
    """Local functions that call others a few times, as exporters write modules."""
    model = onnx.load(lenet_copy)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    inner = helper.make_function(
        "local", "Inner", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], opsets
    )
    twice = [
        helper.make_node("Inner", ["x"], ["m"], domain="local"),
        helper.make_node("Inner", ["m"], ["y"], domain="local"),
    ]
    model.functions.extend(
        [helper.make_function("local", "Twice", ["x"], ["y"], twice, opsets), inner]
    )
    model.opset_import.append(helper.make_opsetid("local", 1))
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.op_type, relu.domain = "Twice", "local"
    onnx.save(model, lenet_copy)
    assert nhle("inspect", lenet_copy).code == 0


def test_json_escapes_what_a_terminal_obeys(nhle: Nhle, lenet_copy: Path) -> None:
    model = onnx.load(lenet_copy)
    name = "\x9b2J\u202e\x7f\U000e0041é"
    model.graph.output[0].name = name
    model.graph.node[-1].output[0] = name
    onnx.save(model, lenet_copy)
    result = nhle("inspect", lenet_copy, "--json")
    assert name in json.loads(result.out)["outputs"]
    assert all(mark.isprintable() for mark in result.out.replace("\n", ""))
    assert "é" in result.out
