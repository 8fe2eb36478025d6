"""What no output needs is taken out by name; all else stays byte for byte."""

from collections.abc import Callable

import numpy as np
import pytest
from onnx import ModelProto, SparseTensorProto, helper, numpy_helper

from nhle_onnx.graph.unused import MAX_TEXT, remove_unused, without_unused
from support.graphs import make_model, make_node

ONE = np.ones(1, np.float32)


def make() -> ModelProto:
    """Adds `w` to `x` by a function, and something in a branch."""
    body = helper.make_graph(
        [helper.make_node("Add", ["h", "v"], ["o"])], "branch", [],
        [helper.make_tensor_value_info("o", 1, None)],
    )  # fmt: skip
    nodes = [
        helper.make_node("Sum2", ["x", "w"], ["h"], domain="own", name="/sum"),
        helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body),
    ]
    tensors = {"w": ONE, "v": ONE, "c": np.array(1, bool)}
    model = make_model(nodes, {"x": [1]}, {"y": None}, tensors)
    add = helper.make_node("Plus", ["a", "b"], ["s"], domain="own")
    plus = helper.make_node("Add", ["a", "b"], ["s"])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    for name, node in (("Sum2", add), ("Plus", plus)):
        function = helper.make_function("own", name, ["a", "b"], ["s"], [node], opsets)
        model.functions.append(function)
    model.opset_import.append(opsets[1])
    model.producer_name = "p"
    model.doc_string = "d" * MAX_TEXT
    helper.set_model_props(model, {"labels": "l" * MAX_TEXT})
    return model


def add_node(model: ModelProto) -> None:
    model.graph.node.append(make_node("Neg", "w", "z", name="/neg"))
    model.graph.node.append(make_node("Abs", "z", "u"))
    model.graph.initializer.append(numpy_helper.from_array(ONE, "ema"))
    model.graph.node.append(make_node("Abs", "ema", "t"))


def add_in_branch(model: ModelProto) -> None:
    branch = model.graph.node[1].attribute[0].g
    branch.initializer.append(numpy_helper.from_array(ONE, "inner"))
    branch.node.append(make_node("Neg", "inner", "k"))


def add_sparse(model: ModelProto) -> None:
    sparse = SparseTensorProto(dims=[2])
    sparse.values.CopyFrom(numpy_helper.from_array(ONE, "thin"))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.array([0]), "at"))
    model.graph.sparse_initializer.append(sparse)


def add_old_input(model: ModelProto) -> None:
    """Before version 4 of the format, weights were inputs too."""
    model.graph.initializer.append(numpy_helper.from_array(ONE, "old"))
    model.graph.input.append(helper.make_tensor_value_info("old", 1, [1]))
    model.graph.input.append(helper.make_tensor_value_info("w", 1, [1]))
    model.graph.input.append(helper.make_tensor_value_info("asked", 1, [1]))


def add_function(model: ModelProto) -> None:
    node = helper.make_node("Sum2", ["a", "a"], ["s"], domain="own")
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("own", "Twice", ["a"], ["s"], [node], opsets))


def add_text(model: ModelProto) -> None:
    model.graph.node[0].doc_string = "x" * (MAX_TEXT + 1)
    model.graph.doc_string = "x" * (MAX_TEXT + 1)
    helper.set_model_props(model, {"weights": "x" * (MAX_TEXT + 1), "few": "x"})


UNKNOWN = b"\xfa\x3f\x01a"


UNUSED: dict[str, tuple[Callable[[ModelProto], object], tuple[str, ...]]] = {
    "nothing": (lambda _model: None, ()),
    "nodes": (add_node, ("/neg", "u", "t", "ema")),
    "a branch": (add_in_branch, ("k", "inner")),
    "sparse": (add_sparse, ("thin",)),
    "inputs": (add_old_input, ("old",)),
    "functions": (add_function, ("Twice",)),
    "training": (lambda model: model.training_info.add(), ("training_info",)),
    "texts": (add_text, ("the text of weights", "the text of graph", "the text of /sum")),
    "unknown": (lambda model: model.MergeFromString(UNKNOWN), ("unknown fields",)),
    "unknown in a tensor": (
        lambda model: model.graph.initializer[0].MergeFromString(UNKNOWN),
        ("unknown fields",),
    ),
    "unknown within types": (
        lambda model: model.graph.input[0].type.tensor_type.shape.dim[0].MergeFromString(UNKNOWN),
        ("unknown fields",),
    ),
}


@pytest.mark.parametrize("name", UNUSED)
def test_what_is_not_used_is_taken_out(name: str) -> None:
    change, expected = UNUSED[name]
    model = make()
    change(model)
    changed = model.SerializeToString()
    copy = without_unused(model)
    assert model.SerializeToString() == changed
    assert (copy is model) is (not expected)
    assert set(remove_unused(model)) == {*expected}
    assert model == copy
    assert remove_unused(model) == ()
    if name not in {"texts", "inputs"}:
        assert model == make()
    assert [each.name for each in model.graph.input] == (
        ["x", "w", "asked"] if name == "inputs" else ["x"]
    )
    assert [each.doc_string for each in model.graph.node] == ["", ""]


def test_tensors_that_are_asked_for_stay() -> None:
    model = make()
    add_node(model)
    add_sparse(model)
    assert set(remove_unused(model, {"ema", "thin"})) == {"/neg", "u", "t"}
    assert [each.name for each in model.graph.initializer] == ["w", "v", "c", "ema"]


def test_a_graph_that_passes_on_what_it_is_given_keeps_its_nodes() -> None:
    model = make_model([make_node("Neg", "x", "z")], {"x": [1]}, {"x": [1]}, {"w": ONE})
    assert remove_unused(model) == ("w",)
    assert len(model.graph.node) == 1


@pytest.mark.slow
def test_a_model_of_more_than_protobuf_can_count_is_cleaned() -> None:
    model = make()
    add_node(model)
    for index in range(2):
        tensor = model.graph.initializer.add(name=f"large{index}", data_type=1, dims=[2**28])
        tensor.raw_data = bytes(2**30)
    model.graph.node.append(make_node("Sum", "large0 large1", "unread"))
    model.graph.output.append(helper.make_tensor_value_info("unread", 1, [2**28]))
    assert set(remove_unused(model)) == {"/neg", "u", "t", "ema"}
