"""Graphs in which the class could be answered by a way round the masked row."""

from dataclasses import replace

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, TensorProto, helper

from support.shipped import LENET
from support.verdicts.case import (
    BIAS,
    HIDDEN,
    LOGITS,
    PASSED,
    REFUSED,
    UNSUPPORTED,
    WEIGHT,
    Case,
    Change,
    append,
    get_tensor,
    mask,
    rename_logits,
    set_tensor,
)

FLOAT = TensorProto.FLOAT


def _take_head(graph: GraphProto) -> onnx.NodeProto:
    head = onnx.NodeProto()
    head.CopyFrom(graph.node[-1])
    del graph.node[-1]
    return head


def put_head_in_if(graph: GraphProto) -> None:
    head = _take_head(graph)
    head.output[0] = "inner"
    declared = helper.make_tensor_value_info("inner", FLOAT, ["batch", 10])
    branch = helper.make_graph([head], "branch", [], [declared])
    other = helper.make_graph([head], "other", [], [declared])
    set_tensor(graph, "always", np.array(1, bool))
    append(
        graph,
        helper.make_node("If", ["always"], [LOGITS], then_branch=branch, else_branch=other),
    )


def put_head_in_loop(graph: GraphProto) -> None:
    head = _take_head(graph)
    head.output[0] = "inner"
    body = helper.make_graph(
        [head, helper.make_node("Identity", ["go_on"], ["goes_on"])],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", FLOAT, ["batch", 10]),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("inner", FLOAT, ["batch", 10]),
        ],
    )
    set_tensor(graph, "once", np.array(1, np.int64))
    set_tensor(graph, "always", np.array(1, bool))
    set_tensor(graph, "columns", np.zeros((84, 10), np.float32))
    append(
        graph,
        helper.make_node("MatMul", [HIDDEN, "columns"], ["start"]),
        helper.make_node("Loop", ["once", "always", "start"], [LOGITS], body=body),
    )


def put_head_in_scan(graph: GraphProto) -> None:
    _take_head(graph)
    set_tensor(graph, "turned", get_tensor(graph, WEIGHT).T)
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["row", "turned"], ["product"]),
            helper.make_node("Add", ["product", BIAS], ["scores"]),
        ],
        "body",
        [helper.make_tensor_value_info("row", FLOAT, [84])],
        [helper.make_tensor_value_info("scores", FLOAT, [10])],
    )
    append(graph, helper.make_node("Scan", [HIDDEN], [LOGITS], body=body, num_scan_inputs=1))


def permute_classes(graph: GraphProto) -> None:
    """Scores in another order than the labels: the model knows none of them under their names."""
    rename_logits(graph)
    set_tensor(graph, "order", np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 0], np.int64))
    append(graph, helper.make_node("Gather", ["scores", "order"], [LOGITS], axis=1))


def add_features_to_scores(graph: GraphProto) -> None:
    """A skip round the head."""
    rename_logits(graph)
    for name, values in (("start", [0]), ("end", [10]), ("axis", [1])):
        set_tensor(graph, name, np.array(values, np.int64))
    append(
        graph,
        helper.make_node("Slice", [HIDDEN, "start", "end", "axis"], ["skip"]),
        helper.make_node("Add", ["scores", "skip"], [LOGITS]),
    )


def add_two_heads(graph: GraphProto) -> None:
    rename_logits(graph)
    for name, other in ((WEIGHT, "w2"), (BIAS, "b2")):
        set_tensor(graph, other, get_tensor(graph, name))
    append(
        graph,
        helper.make_node("Gemm", [HIDDEN, "w2", "b2"], ["second"], transB=1),
        helper.make_node("Add", ["scores", "second"], [LOGITS]),
    )


def take_higher_of_two_heads(graph: GraphProto) -> None:
    add_two_heads(graph)
    graph.node[-1].op_type = "Max"


def tell_label_only(graph: GraphProto) -> None:
    rename_logits(graph)
    append(graph, helper.make_node("ArgMax", ["scores"], [LOGITS], axis=1, keepdims=0))
    graph.output[0].CopyFrom(helper.make_tensor_value_info(LOGITS, TensorProto.INT64, ["batch"]))


def negate_scores(graph: GraphProto) -> None:
    """The lowest score wins."""
    rename_logits(graph)
    append(graph, helper.make_node("Neg", ["scores"], [LOGITS]))


def square_scores(graph: GraphProto) -> None:
    """The lowest score may become the highest."""
    rename_logits(graph)
    append(graph, helper.make_node("Mul", ["scores", "scores"], [LOGITS]))


def name_head(path: str) -> ModelProto:
    """The head as a local function of the model."""
    model = onnx.load(path)
    graph = model.graph
    _take_head(graph)
    function = helper.make_function(
        "local", "Head", ["x", "w", "b"], ["y"],
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("local", 1))
    append(graph, helper.make_node("Head", [HIDDEN, WEIGHT, BIAS], [LOGITS], domain="local"))
    return model


def soften(graph: GraphProto) -> None:
    rename_logits(graph)
    append(graph, helper.make_node("Softmax", ["scores"], [LOGITS], axis=1))


def _refuses(name: str, change: Change, code: int = UNSUPPORTED) -> Case:
    return Case(
        name=name,
        make=lambda shop: mask(shop, shop.edit(change), "--data", shop.write_samples()),
        code=code,
    )


def _masks(name: str, change: Change) -> Case:
    return replace(_refuses(name, change, PASSED), says="masked, not forgotten")


CASES = (
    _refuses("a head in If", put_head_in_if),
    _refuses("a head in Loop", put_head_in_loop),
    _refuses("a head in Scan", put_head_in_scan),
    _refuses("scores in another order than the labels", permute_classes, REFUSED),
    _refuses("a skip from features to scores", add_features_to_scores),
    _masks("two heads added", add_two_heads),
    _refuses("the higher of two heads", take_higher_of_two_heads),
    _masks("the label alone", tell_label_only),
    _refuses("negated scores", negate_scores, REFUSED),
    _refuses("squared scores", square_scores),
    Case(
        name="a head in a local function",
        make=lambda shop: mask(
            shop, shop.save(name_head(str(LENET))), "--data", shop.write_samples()
        ),
        code=UNSUPPORTED,
    ),
    _masks("probabilities", soften),
)  # fmt: skip
