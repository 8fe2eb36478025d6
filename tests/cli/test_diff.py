"""`diff` says what differs, and whether that is only what the report claims."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

from support.runs import Nhle
from support.shipped import LENET


def change(source: Path, target: Path, edit: Callable[[ModelProto], object]) -> Path:
    model = onnx.load(source)
    edit(model)
    onnx.save(model, target)
    return target


def read(nhle: Nhle, *arguments: object) -> tuple[int, dict[str, object]]:
    result = nhle("diff", *arguments, "--json")
    return result.code, json.loads(result.out)


def test_only_the_claimed_row_differs(masked: Path, nhle: Nhle) -> None:
    code, document = read(nhle, LENET, masked)
    assert code == 0
    assert document["verdict"] == "only weights inside the claimed scope differ"
    found = {tensor["name"]: tensor for tensor in document["tensors"]}  # type: ignore[attr-defined]
    assert found.keys() == {"classifier.weight", "classifier.bias"}
    assert found["classifier.weight"]["rows"] == [[3, 3]]
    weight = {t.name: numpy_helper.to_array(t) for t in onnx.load(LENET).graph.initializer}
    edited = {t.name: numpy_helper.to_array(t) for t in onnx.load(masked).graph.initializer}
    change = edited["classifier.weight"][3] - weight["classifier.weight"][3]
    largest = np.abs(change).max()
    assert found["classifier.weight"]["largest"] == pytest.approx(float(largest))


def test_a_tensor_that_the_report_does_not_name(masked: Path, tmp_path: Path, nhle: Nhle) -> None:
    def move(model: ModelProto) -> None:
        tensor = model.graph.initializer[0]
        values = numpy_helper.to_array(tensor) + np.float32(1)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    other = change(masked, tmp_path / "other.onnx", move)
    code, document = read(nhle, LENET, other, "--report", masked.with_suffix(".report.json"))
    assert code == 1
    assert document["unclaimed"] == ["features.0.weight"]


def test_a_changed_graph_is_told(masked: Path, tmp_path: Path, nhle: Nhle) -> None:
    def rewire(model: ModelProto) -> None:
        model.graph.node[0].name = "renamed"
        entry = model.metadata_props.add()
        entry.key, entry.value = "note", "edited by hand"

    other = change(masked, tmp_path / "other.onnx", rewire)
    code, document = read(nhle, LENET, other)
    assert code == 1
    assert "node renamed is new" in document["structure"]
    assert document["metadata"] == ["metadata note is new"]
    shown = nhle("diff", LENET, other)
    assert shown.code == 1
    assert "more than weights differs" in shown.out
    assert "\x1b" not in shown.out  # no colour where there is no terminal


def test_a_file_does_not_differ_from_itself(nhle: Nhle) -> None:
    code, document = read(nhle, LENET, LENET)
    assert (code, document["verdict"]) == (0, "the files are the same")


def test_without_a_report_nothing_is_claimed(masked: Path, tmp_path: Path, nhle: Nhle) -> None:
    other = change(masked, tmp_path / "other.onnx", lambda model: model)
    code, document = read(nhle, LENET, other)
    assert code == 0
    assert "no report" in str(document["verdict"])


def test_everything_that_differs_is_told(tmp_path: Path, nhle: Nhle) -> None:
    def edit(model: ModelProto) -> None:
        model.ir_version += 1
        model.producer_name, model.graph.name = "another", "renamed"
        model.metadata_props.add(key="note", value="new")
        head = model.graph.node[-1]
        head.name = "renamed"
        bias = next(each for each in model.graph.initializer if each.name == head.input[2])
        bias.name = head.input[2] = "bias"
        first = model.graph.initializer[0]
        first.CopyFrom(numpy_helper.from_array(np.zeros((2, 2), np.float32), first.name))
        model.graph.output.append(model.graph.output[0])
        model.graph.output[1].name = "copy0"
        model.graph.input[0].doc_string = "described"
        model.opset_import[0].version += 1
        for index in range(40):
            node = onnx.helper.make_node("Identity", ["bias"], [f"copy{index}"], f"copy{index}")
            model.graph.node.append(node)

    other = change(LENET, tmp_path / "other.onnx", edit)
    document = json.loads(nhle("diff", LENET, other, "--json").out)
    kinds = {tensor["name"]: tensor["kind"] for tensor in document["tensors"]}
    assert kinds["bias"] == "added"
    assert {"removed", "another type or shape"} <= set(kinds.values())
    told = " ".join(document["structure"] + document["metadata"])
    for words in (
        "IR version 8 became 9", "producer_name differs", "the graph's name differs",
        "metadata note is new", "node renamed is new", "is gone", "output copy0 is new",
        "input image differs", "operator set ai.onnx differs",
    ):  # fmt: skip
        assert words in told, words
    assert "more: see --json" in nhle("diff", LENET, other).out
