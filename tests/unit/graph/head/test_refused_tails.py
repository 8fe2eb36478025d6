"""What stands between a head and an output, and does not keep the order of the scores."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from onnx import NodeProto, helper

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.find import find_head
from support.assertions import assert_told
from support.graphs import Array, run_model
from support.tail_forms import CLASSES, FEATURES, GEMM, TENSORS, WEIGHT, Tail, f32, i64, load, n

Case = tuple[Callable[[], Tail], str]


def case(
    reason: str, *nodes: NodeProto, image: tuple[int, ...] = (FEATURES,), **own: Array
) -> Case:
    """Nodes behind a Gemm, or whole graphs, with tensors of their own, and why they are refused."""
    is_whole = any("x" in node.input for node in nodes)
    chosen = nodes if is_whole else (GEMM, *nodes)
    tensors: Mapping[str, Array] = {**TENSORS, **own}
    return lambda: Tail(nodes=chosen, image=image, tensors=tensors), reason


def computed(output: str, *, like: str = "z") -> tuple[NodeProto, ...]:
    """A whole number that depends on the images."""
    return (
        n("ReduceSum", like, f"{output}.f", keepdims=0),
        n("Cast", f"{output}.f", f"{output}.i", to=7),
        n("Unsqueeze", f"{output}.i a0", output),
    )


MAP = n("Conv", "x w4 b", "z")
TWO = (n("Gemm", "x w b", "z", transB=1), n("MatMul", "x vt", "z2"))
REFUSED: dict[str, Case] = {
    # scores of several images, or of several positions, mixed
    "softmax over images": case(
        "Gemm /z is followed by Softmax /y along another axis", n("Softmax", "z", "y", axis=0)
    ),
    "log-softmax over images": case(
        "followed by LogSoftmax /y along another axis", n("LogSoftmax", "z", "y", axis=0)
    ),
    "softmax over positions": case(
        "Conv /z is followed by Softmax /u along another axis than the classes'",
        MAP, n("Softmax", "z", "u"), n("GlobalMaxPool", "u", "p"), n("Flatten", "p", "y"),
        image=(FEATURES, 2, 2),
    ),
    "softmax in parts over images": case(
        "followed by Div /y along another axis",
        n("Exp", "z", "e"), n("ReduceSum", "e a0", "s"), n("Div", "e s", "y"),
    ),
    "softmax in parts, shifted by images": case(
        "followed by Sub /d along another axis",
        n("ReduceMax", "z a0", "m"), n("Sub", "z m", "d"), n("Exp", "d", "e"),
        n("ReduceSum", "e a1", "s"), n("Div", "e s", "y"),
    ),
    "less the best of each class": case(
        "followed by Sub /y along another axis", n("ReduceMax", "z a0", "m"), n("Sub", "z m", "y")
    ),
    "lengths of each class's scores": case(
        "followed by Div /y along another axis", n("ReduceL2", "z a0", "l"), n("Div", "z l", "y")
    ),
    # axes
    "a range that is not constant": case(
        "followed by Slice /y, whose range is not constant",
        *computed("e"), n("Slice", "z start e a1", "y"),
    ),
    "a range along an axis that is not constant": case(
        "followed by Slice /y, whose range is not constant",
        *computed("e"), n("Slice", "z start first2 e", "y"),
    ),
    "some of the images": case(
        "followed by Slice /y along another axis", n("Slice", "z start first2 a0", "y")
    ),
    "every other image": case(
        "followed by Slice /y along another axis", n("Slice", "z start end a0 first2", "y")
    ),
    "classes that the images choose": case(
        "followed by Gather /y, which does not take constant classes",
        n("ArgMax", "z", "i", axis=1, keepdims=0), n("Gather", "z i", "y", axis=1),
    ),
    "images gathered": case(
        "followed by Gather /y along another axis", n("Gather", "z order", "y", axis=0)
    ),
    "classes that are not there": case(
        "followed by Gather /y, which takes classes that are not there",
        n("Gather", "z six", "y", axis=1), six=i64(0, CLASSES),
    ),
    "images gathered by GatherND": case(
        "followed by GatherND /y, which does not take constant classes",
        n("GatherND", "z order2", "y"),
    ),
    "parts that are not constant": case(
        "followed by the Split that computes p, q, whose lengths are not constant",
        *computed("e"), n("Concat", "e a2", "e2", axis=0),
        helper.make_node("Split", ["z", "e2"], ["p", "q"], axis=1),
        n("Concat", "q p", "y", axis=1),
    ),
    "images split": case(
        "followed by the Split that computes p, q along another axis than the classes'",
        helper.make_node("Split", ["z", "parts"], ["p", "q"], axis=0),
        n("Concat", "q p", "y", axis=1), parts=i64(100, 100),
    ),
    "parts of what is no head": case(
        "h comes from Abs /h",
        n("Abs", "x", "h"), helper.make_node("Split", ["h"], ["p", "q"], axis=1, num_outputs=2),
        n("Concat", "q p", "y", axis=1),
    ),
    "a sequence of what is no head": case(
        "h comes from Abs /h",
        n("Abs", "x", "h"), n("SplitToSequence", "h two_each", "s", axis=1),
        n("SequenceAt", "s at0", "y"),
    ),
    "a sequence of heads": case(
        "y comes from SequenceAt /y",
        *TWO, n("SequenceConstruct", "z z2", "s"), n("SequenceAt", "s at0", "y"),
    ),
    "a sequence of parts that are not constant": case(
        "y comes from SequenceAt /y",
        *computed("e"), n("SplitToSequence", "z e", "s", axis=1), n("SequenceAt", "s at0", "y"),
    ),
    "single classes, one after another": case(
        "y comes from Concat /y",
        n("Gather", "z at0", "g", axis=1), n("Gather", "z at1", "h", axis=1),
        n("Concat", "g h", "y", axis=0),
    ),
    "single classes between two new axes": case(
        "y comes from Concat /y",
        n("Gather", "z at0", "g", axis=1), n("Unsqueeze", "g a12", "u"),
        n("Concat", "u u", "y", axis=1),
    ),
    # classes reduced to one, and heads that are added up in other ways
    "a mean of all": case(
        "followed by ReduceMean /y, which reduces the classes to one", n("ReduceMean", "z", "y")
    ),
    "a mean of the classes": case(
        "followed by ReduceMean /y, which reduces the classes to one", n("ReduceMean", "z a1", "y")
    ),
    "a mean along axes that are not constant": case(
        "followed by ReduceMean /y, whose axes are not constant",
        *computed("e"), n("ReduceMean", "z e", "y"),
    ),
    "stacked heads, reduced elsewhere": case(
        "is stacked with others, and followed by ReduceMean /y",
        *TWO, n("Unsqueeze", "z a0", "u1"), n("Unsqueeze", "z2 a0", "u2"),
        n("Concat", "u1 u2", "s", axis=0), n("ReduceMean", "s a1", "y", keepdims=0),
    ),
    "scores of other classes added": case(
        "Gemm /z is added to scores of other classes",
        *TWO, n("Slice", "z2 start from1 a1", "u"), n("Add", "z u", "y"),
    ),
    "probabilities joined with others": case(
        "is joined with scores that follow other functions: Sigmoid, Softmax",
        *TWO, n("Softmax", "z", "p"), n("Sigmoid", "z2", "q"), n("Concat", "p q", "y", axis=1),
    ),
    "a table joined": case(
        "table is not one constant for each class",
        n("Concat", "z table", "y", axis=1), table=np.zeros((200, 2), np.float32),
    ),
    # functions that fall, or differ between classes
    "a leak that falls": case(
        "LeakyRelu /y, whose slope is not positive",
        n("LeakyRelu", "z", "y", alpha=-0.5),
    ),
    "slopes that fall": case(
        "PRelu /y, whose slopes differ or are not positive",
        n("PRelu", "z minus", "y"),
    ),
    "slopes of each class": case(
        "PRelu /y, whose slopes differ or are not positive",
        n("PRelu", "z gain", "y"),
    ),
    "a gain of each class": case(
        "LayerNormalization /y, which weights the classes", n("LayerNormalization", "z gain", "y")
    ),
    "standardised over images": case(
        "LayerNormalization /y, which weights the classes",
        n("LayerNormalization", "z two2", "y", axis=0),
    ),
    "a batch norm in training mode": case(
        "BatchNormalization that computes y, m, v0 in training mode",
        helper.make_node(
            "BatchNormalization", ["z", "gain", "c", "mean", "variance"], ["y", "m", "v0"],
            training_mode=1,
        ),
    ),
    "a batch norm of another axis": case(
        "BatchNormalization /y along another axis",
        n("Unsqueeze", "z a1", "u"), n("BatchNormalization", "u one one one one", "y"),
    ),
    "a batch norm of computed means": case(
        "BatchNormalization /y, whose numbers are not constant",
        n("ReduceMean", "z a0", "m", keepdims=0),
        n("BatchNormalization", "z gain c m variance", "y"),
    ),
    "scores divided by their sum": case(
        "y comes from Div /y", n("ReduceSum", "z a1", "s"), n("Div", "z s", "y")
    ),
    "scores divided by the best": case(
        "y comes from Div /y", n("ReduceMax", "z a1", "s"), n("Div", "z s", "y")
    ),
    "softmax in parts of what is no head": case(
        "h comes from Abs /h",
        n("Abs", "x", "h"), n("Exp", "h", "e"), n("ReduceSum", "e a1", "s"), n("Div", "e s", "y"),
    ),
    "more nodes than any tail has": case(
        "lies behind too many nodes",
        *(n("Relu", f"r{place}" if place else "z", f"r{place + 1}") for place in range(70)),
        n("Identity", "r70", "y"),
    ),
    # operands
    "a divisor of 0": case(
        "Div /y, whose divisor is not one finite constant for each class, or 0",
        n("Div", "z masks", "y"),
    ),
    "an infinite factor": case(
        "Mul /y, whose factor is not one finite constant for each class", n("Mul", "z hides", "y")
    ),
    "a summand of infinity": case(
        "Sub /y, whose operand is not one finite constant for each class", n("Sub", "z hides", "y")
    ),
    "a summand of each image": case(
        "Add /y, whose operand is not one finite constant for each class",
        n("Add", "z own", "y"), own=np.zeros((200, 1), np.float32),
    ),
    "a summand of each place": case(
        "Conv /z is followed by Add /u, whose operand is not one finite constant for each class",
        MAP, n("Add", "z c", "u"), n("GlobalAveragePool", "u", "p"), n("Flatten", "p", "y"),
        image=(FEATURES, 5, 5),
    ),
    "a summand of each place of a map that was not squeezed": case(
        "Conv /z is followed by Add /u, whose operand is not one finite constant for each class",
        MAP, n("Squeeze", "z", "s"), n("Add", "s c", "u"), n("GlobalAveragePool", "u", "p"),
        n("Flatten", "p", "y"), image=(FEATURES, 5, 5),
    ),
    "a table repeated as often as images say": case(
        "y comes from Add /y",
        *computed("e"), n("Clip", "e a1 a1", "once"), n("Tile", "t once", "u"),
        n("Add", "z u", "y"),
    ),
    "a row of a table that images choose": case(
        "y comes from Mul /y",
        *computed("e"), n("Clip", "e a1 a1", "i"), n("Gather", "gains i", "u"),
        n("Mul", "z u", "y"),
    ),
    "classes that the scores choose": case(
        "Where /y, which does not choose constant classes",
        n("Greater", "z zero", "g"), n("Where", "g z low", "y"),
    ),
    "several constants in place of classes": case(
        "Where /y, with several constants",
        n("Where", "two_left z levels", "y"), two_left=np.arange(CLASSES) < 3,
        levels=f32(0, 0, 0, -50, -40),
    ),
    # weights
    "einsum of a vector": case(
        "Einsum /y has no constant weight matrix",
        n("Einsum", "x row", "y", equation="nd,d->n"), row=WEIGHT[0].copy(),
    ),
    "einsum of results": case(
        "Einsum /y has no constant weight matrix", n("Einsum", "x x", "y", equation="nd,kd->nk")
    ),
    "einsum of three": case(
        "Einsum /y is not a product of features and a weight",
        n("Einsum", "x w t", "y", equation="nd,kd,m->nk"), t=f32(2),
    ),
    "einsum of columns": case(
        "Einsum /y does not sum each image's features",
        n("Transpose", "x", "u"), n("Einsum", "u w", "y", equation="dn,kd->nk"),
    ),
    "einsum that sums nothing": case(
        "Einsum /y does not sum each image's features",
        n("Einsum", "x w", "y", equation="nd,kd->nkd"),
    ),
    "einsum with classes first": case(
        "whose first axis counts classes instead of images",
        n("Einsum", "x w", "y", equation="nd,kd->kn"),
    ),
    "the weight on the left, of images on the last axis": case(
        "has its weight on the left, and features with images on their last axis",
        n("Reshape", "x turned", "xr"), n("MatMul", "w xr", "m"), n("Transpose", "m", "y"),
        turned=i64(FEATURES, -1),
    ),
    "lengths along the classes": case(
        "divides its weights by lengths along the classes",
        n("ReduceL2", "w a0", "l"), n("Div", "w l", "u"), n("Gemm", "x u b", "y", transB=1),
    ),
    "lengths of another weight": case(
        "has no constant weight matrix",
        n("ReduceL2", "v a1", "l"), n("Div", "w l", "u"), n("Gemm", "x u b", "y", transB=1),
    ),
    "squared lengths": case(
        "has no constant weight matrix",
        n("ReduceSumSquare", "w a1", "l"), n("Div", "w l", "u"), n("Gemm", "x u b", "y", transB=1),
    ),
    "sums in place of lengths": case(
        "has no constant weight matrix",
        n("ReduceSum", "w a1", "l"), n("Div", "w l", "u"), n("Gemm", "x u b", "y", transB=1),
    ),
    "largest weights in place of lengths": case(
        "has no constant weight matrix",
        n("ReduceMax", "w a1", "l"), n("Div", "w l", "u"), n("Gemm", "x u b", "y", transB=1),
    ),
    "a factor for each feature": case(
        "multiplies each feature's weights by a factor of its own",
        n("Mul", "w each", "u"), n("Gemm", "x u b", "y", transB=1),
        each=np.arange(1, FEATURES + 1, dtype=np.float32)[None],
    ),
    "a factor for each weight": case(
        "has no constant weight matrix",
        n("Mul", "w v", "u"), n("Gemm", "x u b", "y", transB=1),
    ),
    "factors twice": case(
        "has no constant weight matrix",
        n("Mul", "w given", "u1"), n("Mul", "u1 given", "u"), n("Gemm", "x u b", "y", transB=1),
    ),
}  # fmt: skip
OF_OTHER_IMAGES = frozenset({
    "a range that is not constant", "a range along an axis that is not constant",
    "classes that are not there", "parts that are not constant",
    "a sequence of parts that are not constant", "a mean along axes that are not constant",
})  # fmt: skip  # which ONNX Runtime refuses for the sizes that these images come to


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_keep_the_order_of_scores(name: str, tmp_path: Path) -> None:
    make, reason = REFUSED[name]
    tail = make()
    proto = tail.build()
    if name not in OF_OTHER_IMAGES:
        run_model(proto, tail.draw())
    with pytest.raises(UnsupportedModelError) as caught:
        find_head(load(proto, tmp_path))
    assert_told(caught.value, reason)
