"""What `load_model` takes and refuses, without the program around it."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

from nhle_onnx.errors import InputRefusedError, UnsupportedModelError
from nhle_onnx.graph.load import load_model
from nhle_onnx.graph.skeleton import list_excesses, make_skeleton
from support.assertions import assert_told
from support.graphs import make_model, make_node
from support.hostile import CASES
from support.hostile.case import INSPECT, MODEL, HostileFile, read_base
from support.shipped import LENET

REFUSED = [
    case
    for case in CASES
    if case.attempts[0].command == INSPECT
    and case.attempts[0].codes == (3,)
    and not case.is_dangerous
    and case.name != "200,000 nodes"  # takes seconds
]
Edit = Callable[[ModelProto], object]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_what_strangers_send(case: HostileFile, tmp_path: Path) -> None:
    case.build(tmp_path, read_base(LENET))
    with pytest.raises(InputRefusedError) as caught:
        load_model(tmp_path / MODEL)
    assert_told(caught.value, f"{tmp_path / MODEL} ", case.attempts[0].says)


def test_a_good_model_is_described(tmp_path: Path) -> None:
    model = load_model(LENET)
    content = LENET.read_bytes()
    assert model.proto == onnx.load(LENET)
    assert (model.path, model.size_bytes) == (LENET, len(content))
    assert model.sha256 == hashlib.sha256(content).hexdigest()
    assert (model.places, model.sidecars, model.files) == ({}, {}, {LENET.resolve()})
    (tmp_path / "link.onnx").symlink_to(LENET)
    assert load_model(tmp_path / "link.onnx").files == model.files


def loop(path: Path) -> Path:
    path.symlink_to(path)
    return path


def write_beginning(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


PLACES: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (lambda _: None, "does not exist"),
    "folder": (Path.mkdir, "cannot be read: Is a directory"),
    "pipe": (os.mkfifo, "cannot be read: it is not a regular file"),
    "circle": (loop, "cannot be read: "),
    "no model": (
        lambda path: path.write_bytes(b"no model at all"),
        "is not an ONNX model, or is truncated: it cannot be parsed",
    ),
    "empty": (lambda path: path.write_bytes(b""), "is not an ONNX model: it has no graph"),
    "no opset": (
        lambda path: change(path, lambda model: model.ClearField("opset_import")),
        "is not an ONNX model: it has no graph",
    ),
    "no nodes": (
        lambda path: change(path, lambda model: model.graph.ClearField("node")),
        "is not an ONNX model: it has no graph",
    ),
    "too large": (
        lambda path: os.truncate(write_beginning(path, LENET.read_bytes()), 2**31),
        "is larger than 2 GiB, the limit of an ONNX file",
    ),
    "invalid": (
        lambda path: change(path, lambda model: model.graph.node[0].ClearField("input")),
        "is not a valid ONNX model: ",
    ),
}  # fmt: skip


def change(path: Path, edit: Edit) -> None:
    model = onnx.load(LENET)
    edit(model)
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize("name", PLACES)
def test_files_that_are_no_model(name: str, tmp_path: Path) -> None:
    make, reason = PLACES[name]
    make(tmp_path / "model.onnx")
    with pytest.raises(InputRefusedError) as caught:
        load_model(tmp_path / "model.onnx")
    assert_told(caught.value, f"{tmp_path / 'model.onnx'} {reason}")


def test_forms_that_are_not_edited(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x18\0\0\0ORTM" + bytes(100))
    with pytest.raises(UnsupportedModelError) as caught:
        load_model(path)
    assert_told(caught.value, f"{path} is in ONNX Runtime's own .ort format")
    assert "Give the .onnx file" in caught.value.remedy
    known = onnx.defs.onnx_opset_version()
    change(path, lambda model: setattr(model.opset_import[0], "version", known + 1))
    with pytest.raises(UnsupportedModelError) as caught:
        load_model(path)
    assert_told(caught.value, f"{path} uses opset {known + 1}", f"(up to {known})")


def test_an_operator_set_of_others_may_have_any_number(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    change(path, lambda model: model.opset_import.append(helper.make_opsetid("theirs", 999)))
    assert load_model(path).opset == onnx.load(LENET).opset_import[0].version


@pytest.mark.parametrize(
    ("extents", "count"), [((2, 4), 128), ((2, 4), 127), ((1, 0), 16), ((1, "n"), 15)]
)
def test_the_largest_result_decides(extents: tuple[int | str, ...], count: int) -> None:
    """A product of 16 times the input, of which open axes count once; whatever it declares."""
    nodes = [make_node("Tile", "x k", "t"), make_node("ReduceSum", "t")]
    model = make_model(nodes, {"x": extents}, {"y": ["a", "b"]}, {"k": np.array([4, 4])})
    false = helper.make_tensor_value_info("t", TensorProto.FLOAT, [1, 1])
    model.graph.value_info.append(false)
    found = [*list_excesses(make_skeleton(model), count)]
    total = 16 * int(np.prod([max(n, 1) if isinstance(n, int) else 1 for n in extents]))
    assert bool(found) is (total > count)
    for fault in found:
        assert f"the result t {total:,} elements" in fault
        assert f"more than {count:,}" in fault


def test_an_outline_has_all_but_large_weights() -> None:
    """It is a valid model with the same results, whose weights may be fed."""
    model = onnx.load(LENET)
    large = {tensor.name for tensor in model.graph.initializer if np.prod(tensor.dims) > 256}
    nodes = [*model.graph.node]
    first = model.graph.initializer[-2]
    constant = helper.make_node("Constant", [], [first.name], value=first)
    model.graph.initializer.remove(first)
    del model.graph.node[:]
    model.graph.node.extend([*reversed(nodes), constant])
    before = model.SerializeToString()
    outline = make_skeleton(model)
    assert model.SerializeToString() == before
    onnx.checker.check_model(outline, full_check=True)
    assert {value.name for value in outline.graph.input} == {"image"} | large
    assert len(outline.SerializeToString()) < 0.05 * len(before)
    kept = {tensor.name for tensor in outline.graph.initializer}
    assert kept == {tensor.name for tensor in model.graph.initializer} - large
    assert [node.name for node in outline.graph.node] == [node.name for node in nodes]
    for field in ("opset_import", "ir_version", "producer_name"):
        assert getattr(outline, field) == getattr(model, field)
    assert outline.graph.output == model.graph.output
    declared = {value.name: value.type.tensor_type for value in outline.graph.input}
    assert [axis.dim_value for axis in declared[first.name].shape.dim] == [*first.dims]
    assert declared[first.name].elem_type == first.data_type
