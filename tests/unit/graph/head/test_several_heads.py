"""Outputs with heads of their own: one is chosen, and the others are named."""

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from nhle_onnx.errors import UnsupportedModelError, UsageError
from nhle_onnx.graph.head.find import find_head, list_other_heads
from nhle_onnx.hints import word
from support.assertions import assert_told
from support.head_forms import CLASSES, WEIGHT, build, layer, load, node


def make_two_heads() -> ModelProto:
    nodes = [
        node("Gemm", "x w b", "y"), node("MatMul", "x v", "u"), node("Softmax", "u", "other")
    ]  # fmt: skip
    proto = build(layer(*nodes, v=np.ascontiguousarray(WEIGHT.T)))
    proto.graph.output.append(
        helper.make_tensor_value_info("other", TensorProto.FLOAT, ["n", CLASSES])
    )
    return proto


def test_one_of_two_heads_is_named(tmp_path: Path) -> None:
    model = load(make_two_heads(), tmp_path)
    with pytest.raises(UsageError) as caught:
        find_head(model)
    assert_told(caught.value, tmp_path, "several classifier heads, at the outputs y, other")
    assert "--graph-output" in word(caught.value.remedy, "flags")
    chosen = find_head(model, output="other")
    assert (chosen.op, chosen.output, chosen.scores) == ("MatMul", "other", "u")
    assert list_other_heads(model, chosen) == ("y",)
    assert list_other_heads(model, find_head(model, output="y")) == ("other",)
    with pytest.raises(UsageError) as caught:
        find_head(model, output="third")
    assert_told(caught.value, tmp_path, "has no output third")
    assert caught.value.remedy == "Its outputs are: y, other."


def test_no_output_has_a_head(tmp_path: Path) -> None:
    """The reason of each is told."""
    proto = build(layer(node("Sign", "x", "y"), node("Abs", "x", "other")))
    proto.graph.output.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, ["n", 6]))
    with pytest.raises(UnsupportedModelError) as caught:
        find_head(load(proto, tmp_path))
    assert_told(caught.value, "y comes from Sign /y; other comes from Abs /other")


def test_two_outputs_of_one_head_are_one(tmp_path: Path) -> None:
    proto = build(layer(node("Gemm", "x w b", "y"), node("Softmax", "y", "p")))
    proto.graph.output.append(helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", 4]))
    model = load(proto, tmp_path)
    head = find_head(model)
    assert (head.output, list_other_heads(model, head)) == ("y", ())
