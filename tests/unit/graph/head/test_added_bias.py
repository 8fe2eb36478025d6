"""A bias that a head does not have, or not for itself, as its mask needs it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import Head
from support.assertions import assert_told
from support.head_forms import BIAS, CLASSES, WEIGHT, Form, build, layer, load, node
from support.quantized_forms import FORMS


def test_whole_numbers_without_a_bias_cannot_be_masked(tmp_path: Path) -> None:
    """QLinearMatMul alone, and a node cannot be put into whole numbers."""
    form = FORMS["qlinear-add"]()
    nodes = [form.nodes[0], form.nodes[1], node("DequantizeLinear", "m ms mp", "y")]
    used = {name for each in nodes for name in each.input}
    tensors = {name: values for name, values in form.tensors.items() if name in used}
    model = load(Form(nodes=nodes, tensors=tensors, op=""), tmp_path)
    head = find_head(model)
    weight, bias = Head(model.proto, head).read()
    before = model.proto.SerializeToString(deterministic=True)
    Head(model.proto, head).write(weight, bias)  # of nothing there is nothing to add
    assert model.proto.SerializeToString(deterministic=True) == before
    with pytest.raises(UnsupportedModelError) as caught:
        Head(model.proto, head).write(weight, bias - 1)
    assert_told(caught.value, "QLinearMatMul /m has no bias of its own to mask with")


def test_a_shared_bias_stays_with_the_others(tmp_path: Path) -> None:
    """Gemm and Add alike: the head gets a bias of its own, under a name that is free."""
    for nodes in (
        [node("Gemm", "x w b", "y"), node("Gemm", "x v b", "b.bias")],
        [node("MatMul", "x w", "z"), node("Add", "b z", "y"), node("Add", "z b", "b.bias")],
        [node("MatMul", "x w", "z"), node("Add", "z b", "y"), node("Add", "z b", "b.bias")],
        [
            node("Identity", "b", "i"),
            node("MatMul", "x w", "z"),
            node("Add", "i z", "y"),
            node("Add", "z b", "b.bias"),
        ],
    ):
        tensors = {"w": np.ascontiguousarray(WEIGHT.T), "v": np.ascontiguousarray(WEIGHT.T)}
        model = load(layer(*nodes, **tensors), tmp_path)
        head = find_head(model)
        edited = ModelProto()
        edited.CopyFrom(model.proto)
        Head(edited, head).write(Head(model.proto, head).read()[0], np.arange(4, dtype=np.float32))
        onnx.checker.check_model(edited, full_check=True)
        found = {tensor.name: numpy_helper.to_array(tensor) for tensor in edited.graph.initializer}
        assert found["b"].tobytes() == BIAS.tobytes()
        again = find_head(load(edited, tmp_path))
        assert again.bias not in {"b", None}
        assert Head(edited, again).read()[1].tolist() == [0, 1, 2, 3]
        users = [each.name for each in edited.graph.node if "b" in each.input]
        assert {*users} - {"/i"} == {"/b.bias"}


@pytest.mark.parametrize(
    ("weight", "bias"),
    [
        ("classifier.weight", "classifier.bias"), ("fc_weight", "fc.bias"), ("w", "w.bias"),
        ("weight", ".bias"), ("classifier.weight.bias", "classifier.weight.bias.bias"),
    ],
)  # fmt: skip
def test_an_added_bias_is_named_after_the_weight(weight: str, bias: str, tmp_path: Path) -> None:
    proto = build(FORMS["gemm-without-bias"]())
    proto.graph.node[0].input[1] = proto.graph.initializer[0].name = weight
    head = find_head(load(proto, tmp_path))
    Head(proto, head).write(WEIGHT, BIAS)
    assert [*proto.graph.node[0].input] == ["x", weight, bias]
    assert proto.graph.initializer[1].name == bias


@pytest.mark.parametrize("ir_version", [3, 4])
def test_an_added_bias_is_an_input_where_weights_are(ir_version: int, tmp_path: Path) -> None:
    """As it was demanded before version 4 of the format."""
    proto = build(FORMS["gemm-without-bias"]())
    proto.ir_version = ir_version
    del proto.opset_import[:]
    proto.opset_import.append(helper.make_opsetid("", 8 if ir_version == 3 else 9))
    weight = helper.make_tensor_value_info("w", TensorProto.FLOAT, WEIGHT.shape)
    zero = helper.make_tensor_value_info("c", TensorProto.FLOAT, [CLASSES])
    proto.graph.node[0].input.append("c")
    proto.graph.initializer.append(numpy_helper.from_array(np.zeros_like(BIAS), "c"))
    proto.graph.node.append(node("Add", "y c", "u"))
    proto.graph.input.extend([weight, zero])
    model = load(proto, tmp_path)
    head = find_head(model)
    Head(proto, head).write(WEIGHT, BIAS)
    onnx.checker.check_model(proto, full_check=True)
    names = [value.name for value in proto.graph.input]
    assert names[:3] == ["x", "w", "c"]
    assert len(names) == (4 if ir_version == 3 else 3)
    assert find_head(load(proto, tmp_path)).bias not in {"c", None}
