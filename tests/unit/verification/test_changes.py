"""What counts as a change of tensors, and what as a change of the graph."""

from collections.abc import Sequence

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from nhle_onnx.verification.changes import Changes, compare_models, list_outside

FLOAT = TensorProto.FLOAT
Node = tuple[str, Sequence[str], Sequence[str]]


def make_model(nodes: Sequence[Node], *tensors: str, listed: Sequence[str] = ()) -> ModelProto:
    """Make a model of nodes (type, inputs, outputs) and tensors; `listed` are inputs as well."""
    made: list[NodeProto] = [helper.make_node(*node) for node in nodes]
    inputs = [helper.make_tensor_value_info(name, FLOAT, [2]) for name in ("x", *listed)]
    output = helper.make_tensor_value_info("y", FLOAT, [2])
    values = [numpy_helper.from_array(np.float32([1, 2]), name) for name in tensors]
    return helper.make_model(helper.make_graph(made, "graph", inputs, [output], values))


PLAIN = make_model([("MatMul", "xw", "y"), ("Neg", "x", "z")], "w")
LAYER = make_model([("Gemm", "xw", "y")], "w")
WITH_BIAS = make_model([("Gemm", "xwb", "y"), ("Mul", "xb", "z")], "w", "b")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (LAYER, make_model([("Gemm", "xwn", "y")], "w", "n")),
        (LAYER, make_model([("Gemm", "xwn", "y")], "w", "n", listed="n")),
        (WITH_BIAS, make_model([("Gemm", "xwn", "y"), ("Mul", "xb", "z")], "w", "b", "n")),
        (WITH_BIAS, make_model([("Gemm", "xnb", "y"), ("Mul", "xn", "z")], "w", "b", "n")),
        (make_model([("Gemm", ("x", "w", ""), "y")], "w"),
         make_model([("Gemm", "xwn", "y")], "w", "n")),
        (PLAIN, make_model([("MatMul", "xw", "t"), ("Add", "tn", "y"), ("Neg", "x", "z")],
                           "w", "n")),
        (PLAIN, make_model([("MatMul", "xw", "t"), ("Neg", "x", "z"), ("Add", "nt", "y")],
                           "w", "n")),
    ],
    ids=["bias", "listed", "another bias", "two others", "left out", "added", "added before"],
)  # fmt: skip
def test_a_tensor_added_in_its_place_is_no_change_of_the_graph(
    before: ModelProto, after: ModelProto
) -> None:
    original = after.SerializeToString()
    assert compare_models(before, after) == Changes(changed=(), added=("n",), is_graph_same=True)
    assert after.SerializeToString() == original


@pytest.mark.parametrize(
    "nodes",
    [
        [("Add", "xn", "t"), ("MatMul", "tw", "y"), ("Neg", "x", "z")],
        [("Add", "nn", "t"), ("MatMul", "xw", "y"), ("Neg", "x", "z")],
        [("MatMul", "xw", "t"), ("Sub", "tn", "y"), ("Neg", "x", "z")],
        [("MatMul", "xw", "t"), ("Add", "tn", "y"), ("Neg", "t", "z")],
        [("MatMul", "xw", "y"), ("Neg", "n", "z")],
        [("MatMul", "xw", "y"), ("Neg", "x", "z"), ("Print", "n", ())],
    ],
    ids=["of an input", "of tensors", "no sum", "read before", "in place of an input",
         "without an output"],
)  # fmt: skip
def test_whatever_else_reads_an_added_tensor_is_a_change_of_the_graph(nodes: list[Node]) -> None:
    found = compare_models(PLAIN, make_model(nodes, "w", "n"))
    assert found == Changes(changed=(), added=("n",), is_graph_same=False)


def test_a_sum_with_a_second_output_is_a_change_of_the_graph() -> None:
    before = make_model([("Split", "x", "yz")])
    after = make_model([("Split", "x", "tz"), ("Add", "zn", "y")], "n")
    assert not compare_models(before, after).is_graph_same


def test_values_change_tensors_and_all_else_the_graph() -> None:
    after = make_model([("Gemm", "xwb", "y"), ("Mul", "xb", "z")], "w", "b")
    assert compare_models(WITH_BIAS, after) == Changes(changed=(), added=(), is_graph_same=True)
    after.graph.initializer[1].raw_data = np.float32([1, 3]).tobytes()
    found = compare_models(WITH_BIAS, after)
    assert found == Changes(changed=("b",), added=(), is_graph_same=True)
    after.graph.initializer[1].data_type = TensorProto.INT32
    found = compare_models(WITH_BIAS, after)
    assert found == Changes(changed=("b",), added=(), is_graph_same=False)
    del after.graph.initializer[1]
    assert compare_models(WITH_BIAS, after) == Changes(changed=(), added=(), is_graph_same=False)


@pytest.mark.parametrize(
    ("field", "kind"), [("float_data", FLOAT), ("int32_data", TensorProto.INT32)]
)
def test_values_in_any_field_are_values(field: str, kind: int) -> None:
    models = [make_model([("Gemm", "xw", "y")], "w") for _ in range(2)]
    for value, model in enumerate(models):
        (tensor,) = model.graph.initializer
        tensor.ClearField("raw_data")
        tensor.data_type = kind
        getattr(tensor, field).extend([value, 7])
    assert compare_models(*models) == Changes(changed=("w",), added=(), is_graph_same=True)


def test_the_same_bytes_of_another_shape_are_a_change() -> None:
    after = make_model([("Gemm", "xw", "y")], "w")
    after.graph.initializer[0].dims[:] = [1, 2]
    assert compare_models(LAYER, after) == Changes(changed=("w",), added=(), is_graph_same=False)


def test_changed_tensors_that_the_edit_may_not_change_are_listed() -> None:
    changes = Changes(changed=("a", "b", "c"), added=("d",), is_graph_same=True)
    assert list_outside(changes, {"b"}) == ("a", "c")
