"""Every kind of difference between two models is told, and by its name."""

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from nhle_onnx.values.difference import TensorDifference
from nhle_onnx.verification.differences import (
    list_metadata_differences,
    list_structure_differences,
    list_tensor_differences,
)

FLOAT = TensorProto.FLOAT
LARGEST = float(np.finfo(np.float64).max)
WEIGHT = np.arange(12, dtype=np.float32).reshape(4, 3)


def make_base() -> ModelProto:
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(WEIGHT[0]))
    nodes = [
        constant,
        helper.make_node("Add", ["x", "c"], ["a"], name="adds"),
        helper.make_node("MatMul", ["a", "w"], ["y"], name="multiplies"),
    ]
    inputs = [helper.make_tensor_value_info(name, FLOAT, [1, 4]) for name in ("x", "second")]
    outputs = [helper.make_tensor_value_info(name, FLOAT, [1, 3]) for name in ("y", "a")]
    weights = [numpy_helper.from_array(WEIGHT, "w"), numpy_helper.from_array(WEIGHT, "old")]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, weights)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("other", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    model.metadata_props.add(key="kept", value="1")
    model.metadata_props.add(key="lost", value="2")
    return model


def test_a_model_does_not_differ_from_itself() -> None:
    for list_differences in (
        list_structure_differences, list_metadata_differences, list_tensor_differences
    ):  # fmt: skip
        assert [*list_differences(make_base(), make_base())] == []


def test_structure() -> None:
    model = make_base()
    model.graph.node[1].op_type = "Sub"
    del model.graph.node[2]
    model.graph.node.add(op_type="Neg", output=["z"])
    model.graph.node.add(op_type="Print")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    model.graph.input[1].name = "third"
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    model.graph.output[1].name = "b"
    model.opset_import[0].version = 18
    model.opset_import[1].domain = "another"
    model.ir_version = 9
    found = [*list_structure_differences(make_base(), model)]
    assert sorted(found) == [
        "IR version 8 became 9", "input second is gone", "input third is new", "input x differs",
        "node Print is new", "node adds differs", "node multiplies is gone", "node z is new",
        "operator set ai.onnx differs", "operator set another is new",
        "operator set other is gone", "output a is gone", "output b is new", "output y differs",
    ]  # fmt: skip


def test_a_constant_differs_as_a_tensor_not_as_a_node() -> None:
    model = make_base()
    model.graph.node[0].attribute[0].t.CopyFrom(numpy_helper.from_array(WEIGHT[1]))
    assert [*list_structure_differences(make_base(), model)] == []
    assert [each.name for each in list_tensor_differences(make_base(), model)] == ["c"]


def test_metadata() -> None:
    model = make_base()
    model.metadata_props[0].value = "3"
    model.metadata_props[1].key = "found"
    model.producer_name, model.producer_version, model.domain = "a", "b", "c"
    model.model_version, model.doc_string, model.graph.name = 1, "d", "e"
    assert [*list_metadata_differences(make_base(), model)] == [
        "metadata kept differs", "metadata lost is gone", "metadata found is new",
        "producer_name differs", "producer_version differs", "domain differs",
        "model_version differs", "doc_string differs", "the graph's name differs",
    ]  # fmt: skip


@pytest.mark.parametrize("is_raw", [True, False])
def test_tensors(*, is_raw: bool) -> None:
    model = make_base()
    changed = WEIGHT.copy()
    changed[0, 1] -= 5
    changed[2:] += 2
    content = changed.tobytes() if is_raw else changed
    new = helper.make_tensor("w", FLOAT, (4, 3), content, raw=is_raw)
    added = numpy_helper.from_array(WEIGHT[:2], "new")
    del model.graph.initializer[:]
    model.graph.initializer.extend([new, added])
    assert [*list_tensor_differences(make_base(), model)] == [
        TensorDifference(
            name="w", kind="changed", dtype="float", shape=(4, 3), rows=((0, 0), (2, 3)),
            row_count=4, changed_rows=3, largest=5.0,
        ),
        TensorDifference(name="old", kind="removed", dtype="float", shape=(4, 3)),
        TensorDifference(name="new", kind="added", dtype="float", shape=(2, 3)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (WEIGHT, WEIGHT.T, {"kind": "another type or shape", "shape": (3, 4)}),
        (WEIGHT, WEIGHT.astype(np.int8), {"kind": "another type or shape", "dtype": "int8"}),
        (np.float32(1), np.float32(-2), {"rows": ((0, 0),), "row_count": 1, "largest": 3.0}),
        (np.uint8([1, 200]), np.uint8([1, 0]), {"rows": ((1, 1),), "largest": 200.0}),
        (np.float32([1, 1]), np.float32([1, 1.25]), {"changed_rows": 1, "largest": 0.25}),
        (np.float32([[1]]), np.float32([[-np.inf]]), {"row_count": 1, "largest": LARGEST}),
        (np.float32([1, 1]), np.float32([np.nan, 2]), {"changed_rows": 2, "largest": 1.0}),
        (np.complex64([1j, 2]), np.complex64([4j, 2]), {"rows": ((0, 0),), "largest": 3.0}),
        (np.array([b"a", b"b"], object), np.array([b"a", b"c"], object),
         {"dtype": "string", "rows": ((1, 1),), "largest": None}),
    ],
    ids=["shape", "type", "number", "unsigned", "less than one", "infinity",
         "NaN", "complex", "text"],
)  # fmt: skip
def test_a_tensor(old: np.ndarray, new: np.ndarray, expected: dict[str, object]) -> None:
    models = []
    for array in (old, new):
        model = make_base()
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.asarray(array), "w"))
        models.append(model)
    (found,) = list_tensor_differences(*models)
    assert {name: getattr(found, name) for name in expected} == expected
    assert found.name == "w"


def test_an_empty_tensor_has_no_row_that_differs() -> None:
    models = make_base(), make_base()
    for text, model in zip(("before", "after"), models, strict=True):
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(WEIGHT[:0], "w"))
        model.graph.initializer[0].doc_string = text
    (found,) = list_tensor_differences(*models)
    assert (found.rows, found.changed_rows, found.largest) == ((), 0, 0.0)
