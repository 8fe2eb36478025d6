"""Limits of a model's parts, at the last that is allowed and the first that is not."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import (
    AttributeProto,
    FunctionProto,
    ModelProto,
    NodeProto,
    TensorProto,
    helper,
    inliner,
    numpy_helper,
)

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph import validation
from nhle_onnx.graph.load import load_model
from nhle_onnx.graph.traversal import walk_messages
from nhle_onnx.graph.validation import list_faults
from nhle_onnx.graph.validation.functions import count_nodes, list_function_faults
from nhle_onnx.graph.validation.texts import list_text_faults, list_texts
from support.assertions import assert_told
from support.graphs import make_model
from support.shipped import LENET

OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]


def call(name: str, source: str, target: str) -> NodeProto:
    return helper.make_node(name, [source], [target], domain="f")


def define(name: str, *nodes: NodeProto) -> FunctionProto:
    return helper.make_function("f", name, ["i"], ["o"], nodes, OPSETS)


def make_with(nodes: list[NodeProto], *functions: FunctionProto) -> ModelProto:
    """From `x` to `y`, with functions of the domain `f`."""
    model = make_model(nodes, {"x": ["n"]}, {"y": ["n"]})
    model.opset_import.append(helper.make_opsetid("f", 1))
    model.functions.extend(functions)
    return model


def make_nested() -> ModelProto:
    """C calls B twice, B calls A three times, A has two nodes; and a node without a function."""
    a = define("A", helper.make_node("Neg", ["i"], ["m"]), helper.make_node("Abs", ["m"], ["o"]))
    b = define("B", call("A", "i", "m"), call("A", "m", "n"), call("A", "n", "o"))
    c = define("C", call("B", "i", "m"), helper.make_node("Neg", ["m"], ["n"]), call("B", "n", "o"))
    nodes = [call("C", "x", "p"), call("A", "p", "q"), helper.make_node("Neg", ["q"], ["y"])]
    return make_with(nodes, c, a, b)


def test_nodes_are_counted_as_if_functions_were_written_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As onnx writes them out."""
    model = make_nested()
    count = len(inliner.inline_local_functions(model).graph.node)
    assert count_nodes(model) == count == 16
    assert count_nodes(onnx.load(LENET)) == 0
    monkeypatch.setattr(validation, "_MAX_NODES", count)
    assert [*list_faults(model, 100)] == []
    monkeypatch.setattr(validation, "_MAX_NODES", count - 1)
    assert [*list_faults(model, 100)] == ["has 16 nodes with functions expanded: more than 15"]
    monkeypatch.setattr(validation, "_MAX_NODES", 10)
    many = make_with(
        [helper.make_node("Neg", ["x"], ["y"])]
        + [helper.make_node("Neg", ["x"], [f"r{n}"]) for n in range(10)]
    )
    assert next(list_faults(many, 100)) == "has 11 nodes: more than 10"
    value = helper.make_tensor_value_info("r5", TensorProto.FLOAT, ["n"])
    branch = helper.make_graph(many.graph.node[1:7], "six", [], [value])
    choice = helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    fault = "has 13 nodes with functions expanded: more than 10"
    assert [*list_faults(make_with([choice]), 100)] == [fault]


def test_functions_that_are_none() -> None:
    model = make_nested()
    assert [*list_function_faults(model)] == []
    model.functions.append(model.functions[0])
    assert [*list_function_faults(model)] == ["defines a function twice"]
    itself = make_with(
        [call("A", "x", "y")], define("A", call("B", "i", "o")), define("B", call("A", "i", "o"))
    )
    (fault,) = list_function_faults(itself)
    assert fault in {f"has a function that calls itself: {name}" for name in "AB"}
    for depth, has_fault in ((64, False), (65, True)):
        chain = [define(f"F{n}", call(f"F{n + 1}", "i", "o")) for n in range(depth - 1)]
        last = define(f"F{depth - 1}", helper.make_node("Neg", ["i"], ["o"]))
        found = [*list_function_faults(make_with([call("F0", "x", "y")], last, *chain))]
        assert found == ["has functions that call each other more than 64 levels deep"] * has_fault


def find_text_faults(model: ModelProto) -> list[str]:
    return [
        fault
        for message, fields in walk_messages(model)
        for fault in list_text_faults(list_texts(message, fields))
    ]


def test_names_have_a_length() -> None:
    """In every place of a model that holds one; descriptions may be longer."""
    for length, has_fault in ((4096, False), (4097, True)):
        name = "n" * length
        tensor = numpy_helper.from_array(np.zeros(2), name)
        outside = TensorProto(name="t", data_location=TensorProto.EXTERNAL)
        outside.external_data.add(key=name, value=name)
        open_axis = helper.make_tensor_value_info("x", TensorProto.FLOAT, [name])
        cases = [
            (make_with([helper.make_node("Neg", [name], ["y"])]), "input"),
            (make_with([helper.make_node("Neg", ["x"], ["y", name])]), "output"),
            (make_with([helper.make_node("Neg", ["x"], ["y"], name=name)]), "name"),
            (make_with([helper.make_node("Constant", [], ["y"], value=tensor)]), "name"),
            (make_with([helper.make_node("Constant", [], ["y"], value=outside)]), "key"),
            (ModelProto(graph=helper.make_graph([], "g", [open_axis], [])), "dim_param"),
            (ModelProto(producer_name=name), "producer_name"),
        ]
        for model, field in cases:
            expected = [f"has a {field} of 4,097 characters: {'n' * 60}…"] if has_fault else []
            assert find_text_faults(model) == expected
        prose = ModelProto(doc_string=name)
        prose.metadata_props.add(key="k", value=name)
        assert find_text_faults(prose) == []


def test_names_are_text() -> None:
    """protobuf gives what is no UTF-8 as bytes."""
    model = make_with([helper.make_node("Neg", ["x"], ["y"], name="good")])
    content = model.SerializeToString().replace(b"good", b"b\xffd!")
    assert find_text_faults(ModelProto.FromString(content)) == [
        "has a name that is not UTF-8: b'b\\xffd!'"
    ]
    tensor = numpy_helper.from_array(np.zeros(2), "good")
    held = make_with([helper.make_node("Constant", [], ["y"], value=tensor)])
    content = held.SerializeToString().replace(b"good", b"b\xffd!")
    assert find_text_faults(ModelProto.FromString(content)) == [
        "has a name that is not UTF-8: b'b\\xffd!'"
    ]


def test_parts_and_numbers_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    proto = onnx.load(LENET)
    count = sum(1 for _ in walk_messages(proto))
    elements = sum(int(np.prod(tensor.dims)) for tensor in proto.graph.initializer)
    monkeypatch.setattr(validation, "_MAX_PARTS", count - 1)
    assert [*list_faults(proto, elements)] == []
    assert [*list_faults(proto, elements - 1)] == [
        f"holds {elements:,} numbers: more than {elements - 1:,}"
    ]
    monkeypatch.setattr(validation, "_MAX_PARTS", count - 2)
    assert [*list_faults(proto, elements)] == [f"has more than {count - 2:,} parts"]


def fault_of(tensor: TensorProto) -> list[str]:
    return [*list_faults(make_with([helper.make_node("Constant", [], ["y"], value=tensor)]), 1000)]


def test_a_tensor_holds_what_its_shape_says() -> None:
    good = helper.make_tensor("t", TensorProto.FLOAT, [3], [1, 2, 3])
    raw = numpy_helper.from_array(np.zeros(3, np.float32), "t")
    text = helper.make_tensor("t", TensorProto.STRING, [2], [b"a", b"b"])
    empty = TensorProto(name="t", data_type=TensorProto.FLOAT, dims=[0])
    for tensor in (good, raw, text, empty):
        assert fault_of(tensor) == []
    short = TensorProto(name="t", data_type=TensorProto.FLOAT, dims=[4], float_data=[1])
    start = "has the tensor t of the shape [4], which takes"
    assert fault_of(short) == [f"{start} 4 entries, but holds 1 in float_data"]
    raw.dims[0] = 4
    assert fault_of(raw) == [f"{start} 16 bytes, but holds 12 in raw_data"]
    raw.float_data.append(1)
    assert fault_of(raw) == [f"{start} 16 bytes, but holds 1 in float_data and 12 in raw_data"]
    short.ClearField("float_data")
    assert fault_of(short) == [f"{start} 4 entries, but holds none"]
    short.int32_data.extend([1] * 4)
    assert fault_of(short) == [f"{start} 4 entries, but holds 4 in int32_data"]
    outside = TensorProto(name="t", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    assert fault_of(outside) == []
    outside.float_data.append(1)
    assert fault_of(outside) == ["keeps the tensor t in a separate file and in itself"]
    outside.data_type = TensorProto.STRING
    assert fault_of(outside) == ["keeps the tensor t in a separate file, though it is text"]
    unnamed = TensorProto(data_type=99, dims=[1])
    assert fault_of(unnamed) == [
        "gives a tensor without a name the type 99, which ONNX does not have"
    ]


def test_shapes_have_limits() -> None:
    for dims, fault in (
        ([1] * 64, []), ([1] * 65, ["gives the tensor t 65 axes, where at most 64 are possible"]),
        ([-1], ["gives the tensor t an axis of negative length: [-1]"]),
        ([10, 100], []),
        ([7, 143], ["gives the tensor t 1,001 elements, [7, 143]: more than 1,000"]),
    ):  # fmt: skip
        outside = TensorProto(name="t", data_type=1, dims=dims, data_location=TensorProto.EXTERNAL)
        assert fault_of(outside)[:1] == fault
    declared = make_with([helper.make_node("Neg", ["x"], ["y"])])
    declared.graph.value_info.append(
        helper.make_tensor_value_info("v", TensorProto.FLOAT, [-1, 1000, "n"])
    )
    assert [*list_faults(declared, 1000)] == []
    axes = declared.graph.value_info[0].type.tensor_type.shape.dim
    axes[1].dim_value = 1001
    assert [*list_faults(declared, 1000)] == [
        "gives a declared value 1,001 elements, [1, 1001]: more than 1,000"
    ]
    axes[1].dim_value = -2
    (fault,) = list_faults(declared, 1000)
    assert fault == "gives a declared value an axis of negative length: [1, -2]"
    declared.graph.value_info[0].type.tensor_type.elem_type = 99
    assert (
        next(list_faults(declared, 1000))
        == "declares a value of the type 99, which ONNX does not have"
    )


def test_graphs_say_each_name_once() -> None:
    def change(kind: str) -> list[str]:
        model = make_with(
            [helper.make_node("Neg", ["x"], ["y"]), helper.make_node("Abs", ["y"], ["z"])]
        )
        model.graph.initializer.append(numpy_helper.from_array(np.zeros(1), "w"))
        graph = model.graph
        if kind == "cycle":
            graph.node[0].input[0] = "z"
        elif kind == "node":
            graph.node[1].output[0] = "y"
        elif kind == "weight as input":
            graph.input.append(helper.make_tensor_value_info("w", TensorProto.DOUBLE, [1]))
        elif kind == "weight as result":
            graph.node[1].output[0] = "w"
        elif kind.startswith("no "):
            graph.ClearField(kind[3:])
        elif kind:
            parts = getattr(graph, kind)
            parts.append(parts[0])
        return [*list_faults(model, 100)]

    assert change("") == change("weight as input") == []
    assert change("cycle") in (
        ["computes Neg y from its own result"], ["computes Abs z from its own result"]
    )  # fmt: skip
    assert change("node")[0] == "has 2 results of the name y"
    assert change("weight as result") == ["has 2 results of the name w"]
    for kind in ("initializer", "input", "output"):
        name = {"initializer": "w", "input": "x", "output": "y"}[kind]
        assert change(kind) == [f"has 2 {kind}s of the name {name}"]
    assert (change("no input"), change("no output")) == (["has no input"], ["has no output"])


def test_a_size_that_constants_tell_is_found(tmp_path: Path) -> None:
    """The shape is a product of two."""
    tensors = [
        numpy_helper.from_array(np.int64(values), name)
        for name, values in (("a", [5, 4]), ("b", [6, 10]))
    ]
    model = make_with(
        [
            helper.make_node("Mul", ["a", "b"], ["s"]),
            helper.make_node("Expand", ["x", "s"], ["e"]),
            helper.make_node("Neg", ["x"], ["y"]),
        ]
    )
    model.graph.initializer.extend(tensors)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    load_model(path, max_elements=1200)
    with pytest.raises(InputRefusedError, match=r"gives the result e 1,200 elements"):
        load_model(path, max_elements=1199)


def test_a_result_within_a_function_is_found(tmp_path: Path) -> None:
    shape = numpy_helper.from_array(np.int64([30, 40]), "s")
    made = helper.make_node("Constant", [], ["s"], value=shape)
    last = helper.make_node("ReduceMax", ["e"], ["o"], keepdims=0)
    widen = define("Widen", made, helper.make_node("Expand", ["i", "s"], ["e"]), last)
    path = tmp_path / "model.onnx"
    onnx.save(make_with([call("Widen", "x", "y")], widen), path)
    load_model(path, max_elements=1200)
    with pytest.raises(InputRefusedError, match=r" 1,200 elements, \[30, 40\]"):
        load_model(path, max_elements=1199)


def test_a_result_above_the_limit_is_refused(tmp_path: Path) -> None:
    """Of a file whose weights are within it."""
    shape = numpy_helper.from_array(np.int64([30, 40]), "s")
    made = helper.make_node("Constant", [], ["s"], value=shape)
    model = make_with(
        [made, helper.make_node("Expand", ["x", "s"], ["e"]), helper.make_node("Neg", ["x"], ["y"])]
    )
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    load_model(path, max_elements=1200)
    with pytest.raises(InputRefusedError) as caught:
        load_model(path, max_elements=1199)
    assert_told(
        caught.value, f"{path} gives the result e 1,200 elements, [30, 40]: more than 1,199"
    )


def test_attributes_of_functions_stand_in_functions() -> None:
    """Elsewhere nothing says what they are."""
    leaky = helper.make_node("LeakyRelu", ["i"], ["o"])
    leaky.attribute.add(name="alpha", ref_attr_name="a", type=AttributeProto.FLOAT)
    function = define("L", leaky)
    function.attribute.append("a")
    model = make_with([call("L", "x", "y")], function)
    model.graph.node[0].attribute.append(helper.make_attribute("a", 0.1))
    assert [*list_faults(model, 100)] == []
    fault = "has the attribute alpha, a function's argument, outside of any function"
    plain = helper.make_node("LeakyRelu", ["x"], ["y"])
    plain.attribute.append(leaky.attribute[0])
    assert [*list_faults(make_with([plain]), 100)] == [fault]
    branch = helper.make_graph([plain], "branch", [], make_with([plain]).graph.output)
    choice = helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    assert [*list_faults(make_with([choice]), 100)] == [fault, fault]
