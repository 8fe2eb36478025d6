"""Tails whose classes lie along an axis that only the graph's shapes tell, and some beside them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import NodeProto, numpy_helper

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import Head
from support.graphs import Array, run_model
from support.tail_forms import BIAS, CLASSES, FEATURES, GEMM, TENSORS, Tail, f32, i64, load, n

OWN: dict[str, Array] = {
    "ones2": i64(1, 1), "column4": BIAS[:4, None], "column3": BIAS[:, None, None],
    "square": np.ones((CLASSES, 3, 2, 2), np.float32), "shape_map": i64(0, 3, 2, 2),
    "wide": np.ones((CLASSES, 12), np.float32), "five": f32(5),
}  # fmt: skip
NUMBER = numpy_helper.from_array(f32(2.5))


def behind(*nodes: NodeProto, image: tuple[int, ...] = (FEATURES,)) -> Tail:
    chosen = nodes if any("x" in node.input for node in nodes) else (GEMM, *nodes)
    return Tail(nodes=chosen, image=image, tensors={**TENSORS, **OWN})


READ: dict[str, Callable[[], Tail]] = {
    "four axes by measured extents": lambda: behind(
        n("Shape", "z", "s"), n("Concat", "s ones2", "s4", axis=0), n("Reshape", "z s4", "u"),
        n("Add", "u column3", "v0"), n("Flatten", "v0", "y"),
    ),
    "gathered along a middle axis": lambda: behind(
        n("Unsqueeze", "z a2", "u"), n("Gather", "u order", "g", axis=1),
        n("Add", "g column4", "v0"), n("Flatten", "v0", "y"),
    ),
    "joined with a class of one number": lambda: behind(
        n("Shape", "z", "m", end=1), n("Concat", "m a1", "nk", axis=0),
        n("ConstantOfShape", "nk", "n1", value=NUMBER), n("Concat", "n1 z", "u", axis=1),
        n("Mul", "u five", "y"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_rows_are_what_is_computed(name: str, tmp_path: Path) -> None:
    tail = READ[name]()
    model = load(tail.build(), tmp_path)
    rows = Head(model.proto, find_head(model)).rows
    images = tail.draw(20)
    (scores,) = run_model(model.proto, images)
    expected = images @ rows.weight.T + rows.bias
    assert scores.shape == expected.shape
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-3)


REFUSED: dict[str, tuple[Callable[[], Tail], str]] = {
    "softmax, turned": (
        lambda: behind(n("Softmax", "z", "p"), n("Neg", "p", "y")),
        "is followed by Neg, which weights the classes behind Softmax",
    ),
    "gathered in each image": (
        lambda: behind(n("GatherND", "z order2", "y", batch_dims=1)),
        "GatherND /y, which does not take constant classes",
    ),
    "a window as large as its map, padded": (
        lambda: behind(
            n("Reshape", "x shape_map", "m"), n("Conv", "m square", "conv", auto_pad="SAME_UPPER"),
            n("GlobalMaxPool", "conv", "p"), n("Flatten", "p", "y"), image=(12,),
        ),
        "is neither a 1x1 convolution nor as large as its map",
    ),
    "the weight on the left of features as they are": (
        lambda: behind(
            n("Transpose", "x", "xt", perm=[0, 1]), n("MatMul", "wide xt", "m"),
            n("Transpose", "m", "y"), image=(12,),
        ),
        "has its weight on the left, and features with images on their last axis",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str, tmp_path: Path) -> None:
    make, reason = REFUSED[name]
    with pytest.raises(UnsupportedModelError) as caught:
        find_head(load(make().build(), tmp_path))
    assert reason in caught.value.reason
