"""Models with several outputs, of which a device may read another than we judge."""

import numpy as np
from onnx import GraphProto, TensorProto, helper, numpy_helper

from support.shipped import LENET
from support.verdicts.case import (
    BIAS,
    FAILED,
    HIDDEN,
    LOGITS,
    PASSED,
    UNSUPPORTED,
    WEIGHT,
    Case,
    Change,
    Workshop,
    add_output,
    append,
    get_tensor,
    mask,
    set_tensor,
)

INDICES, SCORES = TensorProto.INT64, TensorProto.FLOAT


def add_second_head(graph: GraphProto) -> None:
    """The same head again, by other names: masking the one leaves the other."""
    for name, other in ((WEIGHT, "w2"), (BIAS, "b2")):
        set_tensor(graph, other, get_tensor(graph, name))
    append(graph, helper.make_node("Gemm", [HIDDEN, "w2", "b2"], ["second"], transB=1))


def tell_second_label(graph: GraphProto) -> None:
    add_second_head(graph)
    append(graph, helper.make_node("ArgMax", ["second"], ["label"], axis=1, keepdims=0))
    add_output(graph, "label", INDICES, ["batch"])


def tell_best_of_second(graph: GraphProto) -> None:
    add_second_head(graph)
    set_tensor(graph, "k", np.array([3], np.int64))
    append(graph, helper.make_node("TopK", ["second", "k"], ["best", "order"], axis=1))
    add_output(graph, "order", INDICES, ["batch", 3])


def choose_second(graph: GraphProto) -> None:
    add_second_head(graph)
    set_tensor(graph, "always", np.array(1, bool))
    append(graph, helper.make_node("Where", ["always", "second", LOGITS], ["chosen"]))
    add_output(graph, "chosen", SCORES, ["batch", 10])


def tell_name(graph: GraphProto) -> None:
    add_second_head(graph)
    labels = (LENET.with_name("labels.txt")).read_text().split("\n")[:10]
    names = numpy_helper.from_array(np.array(labels, object), "names")
    graph.initializer.append(names)
    append(
        graph,
        helper.make_node("ArgMax", ["second"], ["index"], axis=1, keepdims=0),
        helper.make_node("Gather", ["names", "index"], ["name"]),
    )
    add_output(graph, "name", TensorProto.STRING, ["batch"])


def add_probabilities(graph: GraphProto) -> None:
    """The label is that of two heads' probabilities together, of which one is masked."""
    add_second_head(graph)
    append(
        graph,
        helper.make_node("Softmax", [LOGITS], ["p"], axis=1),
        helper.make_node("Softmax", ["second"], ["q"], axis=1),
        helper.make_node("Add", ["p", "q"], ["both"]),
        helper.make_node("ArgMax", ["both"], ["label"], axis=1, keepdims=1),
    )
    add_output(graph, "label", INDICES, ["batch", 1])


def show_second(graph: GraphProto) -> None:
    """An auxiliary head, as in networks with an early exit."""
    add_second_head(graph)
    add_output(graph, "second", SCORES, ["batch", 10])


def show_early_exit(graph: GraphProto) -> None:
    """A weaker head, which sees a part of the features."""
    weight = get_tensor(graph, WEIGHT).copy()
    weight[:, 24:] = 0
    set_tensor(graph, "w2", weight)
    append(graph, helper.make_node("Gemm", [HIDDEN, "w2", BIAS], ["early"], transB=1))
    add_output(graph, "early", SCORES, ["batch", 10])


def average_heads(graph: GraphProto) -> None:
    """The mean of both heads' probabilities, which a device may read instead of the scores."""
    add_second_head(graph)
    append(
        graph,
        helper.make_node("Softmax", [LOGITS], ["p"], axis=1),
        helper.make_node("Softmax", ["second"], ["q"], axis=1),
        helper.make_node("Mean", ["p", "q"], ["mean"]),
    )
    add_output(graph, "mean", SCORES, ["batch", 10])


def round_second(graph: GraphProto) -> None:
    """Whole numbers, as a quantized model shows its scores."""
    add_second_head(graph)
    set_tensor(graph, "step", np.array(0.25, np.float32))
    set_tensor(graph, "zero", np.array(0, np.int8))
    append(graph, helper.make_node("QuantizeLinear", ["second", "step", "zero"], ["rounded"]))
    add_output(graph, "rounded", TensorProto.INT8, ["batch", 10])


def mark_best_of_second(graph: GraphProto) -> None:
    """One truth value a class."""
    add_second_head(graph)
    append(
        graph,
        helper.make_node("ReduceMax", ["second"], ["most"], axes=[1]),
        helper.make_node("Equal", ["second", "most"], ["marks"]),
    )
    add_output(graph, "marks", TensorProto.BOOL, ["batch", 10])


def rank_by_second(graph: GraphProto) -> None:
    """All classes, best first: no class is absent, so the first one counts."""
    add_second_head(graph)
    set_tensor(graph, "k", np.array([10], np.int64))
    append(graph, helper.make_node("TopK", ["second", "k"], ["sorted", "ranks"], axis=1))
    add_output(graph, "ranks", INDICES, ["batch", 10])


def tell_label_as_float(graph: GraphProto) -> None:
    add_second_head(graph)
    append(
        graph,
        helper.make_node("ArgMax", ["second"], ["index"], axis=1, keepdims=1),
        helper.make_node("Cast", ["index"], ["label"], to=SCORES),
    )
    add_output(graph, "label", SCORES, ["batch", 1])


def map_probabilities(graph: GraphProto) -> None:
    """As converters of scikit-learn's models write them: a map from class to probability."""
    add_second_head(graph)
    append(
        graph,
        helper.make_node("Softmax", ["second"], ["q"], axis=1),
        helper.make_node(
            "ZipMap", ["q"], ["maps"], domain="ai.onnx.ml", classlabels_int64s=list(range(10))
        ),
    )
    row = helper.make_map_type_proto(INDICES, helper.make_tensor_type_proto(SCORES, []))
    graph.output.append(helper.make_value_info("maps", helper.make_sequence_type_proto(row)))


def turn_second(graph: GraphProto) -> None:
    """The classes in another order, which nobody but the maker of the file knows."""
    for name, other in ((WEIGHT, "w2"), (BIAS, "b2")):
        set_tensor(graph, other, np.roll(get_tensor(graph, name), 1, axis=0))
    append(graph, helper.make_node("Gemm", [HIDDEN, "w2", "b2"], ["second"], transB=1))
    add_output(graph, "second", SCORES, ["batch", 10])


def share_weight(graph: GraphProto) -> None:
    """The head's weight, read a second time through an Identity."""
    append(
        graph,
        helper.make_node("Identity", [WEIGHT], ["shared"]),
        helper.make_node("Transpose", ["shared"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", [HIDDEN, "turned"], ["cosine"]),
        helper.make_node("Tanh", ["cosine"], ["bounded"]),
    )
    add_output(graph, "bounded", SCORES, ["batch", 10])


def tell_label(graph: GraphProto) -> None:
    append(graph, helper.make_node("ArgMax", [LOGITS], ["label"], axis=1, keepdims=0))
    add_output(graph, "label", INDICES, ["batch"])


def tell_label_of_sum(graph: GraphProto) -> None:
    """Of masked and other scores added up: the mask is lower than any score is high."""
    add_second_head(graph)
    append(
        graph,
        helper.make_node("Add", [LOGITS, "second"], ["sum"]),
        helper.make_node("ArgMax", ["sum"], ["label"], axis=1, keepdims=0),
    )
    add_output(graph, "label", INDICES, ["batch"])


def show_features(graph: GraphProto) -> None:
    add_output(graph, HIDDEN, SCORES, ["batch", 84])


def show_probabilities(graph: GraphProto) -> None:
    append(graph, helper.make_node("Softmax", [LOGITS], ["p"], axis=1))
    add_output(graph, "p", SCORES, ["batch", 10])


def count_images(graph: GraphProto) -> None:
    append(graph, helper.make_node("Shape", [LOGITS], ["extents"]))
    add_output(graph, "extents", INDICES, [2])


def _mask(shop: Workshop, change: Change, *flags: object) -> list[object]:
    return mask(shop, shop.edit(change), "--data", shop.write_samples(), *flags)


def _knows(name: str, change: Change, output: str, *flags: object) -> Case:
    return Case(
        name=name, make=lambda shop: _mask(shop, change, *flags), code=FAILED,
        says=f"output {output}.acc_f", was="PASSED",
    )  # fmt: skip


CASES = (
    _knows("the label of a second head", tell_second_label, "label"),
    _knows("the best three of a second head", tell_best_of_second, "order"),
    _knows("a second head behind a Where", choose_second, "chosen"),
    _knows("the name of a second head's class", tell_name, "name"),
    _knows("the label of two heads' probabilities", add_probabilities, "label"),
    _knows("an auxiliary head", show_second, "second", "--graph-output", LOGITS),
    _knows("an early exit", show_early_exit, "early", "--graph-output", LOGITS),
    _knows("the mean of two heads", average_heads, "mean", "--graph-output", LOGITS),
    _knows("a second head's whole numbers", round_second, "rounded", "--graph-output", LOGITS),
    _knows("the mark at a second head's best", mark_best_of_second, "marks"),
    _knows("all classes in a second head's order", rank_by_second, "ranks"),
    _knows("the label of a second head as a float", tell_label_as_float, "label"),
    _knows("a map of a second head's probabilities", map_probabilities, "maps"),
    Case(
        name="a second head's classes in another order", code=PASSED,
        make=lambda shop: _mask(shop, turn_second, "--graph-output", LOGITS),
        says="does not agree with the scores, and was not judged",
    ),
    Case(
        name="the head's weight a second time", make=lambda shop: _mask(shop, share_weight),
        code=UNSUPPORTED, says="shares its weight with another layer",
    ),
    Case(
        name="the label of the masked scores", make=lambda shop: _mask(shop, tell_label),
        code=PASSED, says="output label.acc_f",
    ),
    Case(
        name="the label of masked and other scores", code=PASSED,
        make=lambda shop: _mask(shop, tell_label_of_sum), says="output label.acc_f",
    ),
    Case(
        name="the features", code=PASSED,
        make=lambda shop: _mask(shop, show_features, "--graph-output", LOGITS),
        says="gives no classes, and was not judged",
    ),
    Case(
        name="the probabilities of the masked scores", code=PASSED,
        make=lambda shop: _mask(shop, show_probabilities, "--graph-output", LOGITS),
        says="output p.acc_f",
    ),
    Case(
        name="an output that has no row an image", make=lambda shop: _mask(shop, count_images),
        code=PASSED, says="gives no classes, and was not judged",
    ),
)  # fmt: skip
