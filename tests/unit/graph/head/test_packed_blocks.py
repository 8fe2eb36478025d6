"""MatMulNBits whose rows have several blocks, with their scales one after another, and its bias."""

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.drop import drop_classes
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import Head
from nhle_onnx.values.model import QuantParams
from support.graphs import MICROSOFT, make_model, make_node, run_model
from support.tail_forms import load

CLASSES, WIDTH, BLOCK = 4, 20, 16
RNG = np.random.default_rng(4)
NUMBERS = RNG.integers(0, 16, (CLASSES, 2 * BLOCK))
SCALES = RNG.uniform(0.1, 1, (CLASSES, 2)).astype(np.float32)
BIAS = RNG.normal(size=CLASSES).astype(np.float32)
REAL = ((NUMBERS - 8) * SCALES.repeat(BLOCK, 1))[:, :WIDTH]
TENSORS = {
    "w": (NUMBERS[:, ::2] + 16 * NUMBERS[:, 1::2]).astype(np.uint8).reshape(CLASSES, 2, 8),
    "s": SCALES.ravel(), "b": BIAS, "c": BIAS + 1, "order": np.zeros(WIDTH, np.int32),
}  # fmt: skip


def make(inputs: str = "x w s", *, added: str = "", **changed: np.ndarray) -> ModelProto:
    node = make_node(
        "MatMulNBits", inputs, "z" if added else "y", name="/m", domain=MICROSOFT, N=CLASSES,
        K=WIDTH, bits=4, block_size=BLOCK,
    )  # fmt: skip
    nodes = [node, make_node("Add", f"z {added}")] if added else [node]
    used = {name for each in nodes for name in each.input}
    tensors = {name: values for name, values in (TENSORS | changed).items() if name in used}
    return make_model(nodes, {"x": ["n", WIDTH]}, {"y": ["n", CLASSES]}, tensors)


@pytest.mark.parametrize(
    ("inputs", "added", "bias"),
    [("x w s", "", None), ("x w s", "b", "b"), ("x w s - - b", "", "b")],
)
def test_rows_of_several_blocks(inputs: str, added: str, bias: str | None, tmp_path: Path) -> None:
    model = load(make(inputs, added=added), tmp_path)
    head = find_head(model)
    assert head.weight_quant_params == QuantParams(
        scales=("s",), zero_point=None, axis=1, block_size=BLOCK, packed_bits=4, packed_width=WIDTH
    )
    assert (head.bias, head.class_axis, head.feature_dim) == (bias, 0, WIDTH)
    np.testing.assert_allclose(Head(model.proto, head).read().weight, REAL, rtol=1e-6)


@pytest.mark.parametrize("inputs", ["x w s", "x w s - - b"])
def test_a_class_is_taken_out_with_its_blocks(inputs: str, tmp_path: Path) -> None:
    model = load(make(inputs), tmp_path)
    smaller = ModelProto()
    smaller.CopyFrom(model.proto)
    drop_classes(smaller, find_head(model), (1,))
    images = RNG.normal(size=(8, WIDTH)).astype(np.float32)
    was, now = (run_model(each, images)[0] for each in (model.proto, smaller))
    np.testing.assert_allclose(now, np.delete(was, 1, 1), rtol=1e-6)
    shapes = {each.name: [*each.dims] for each in smaller.graph.initializer}
    assert (shapes["w"], shapes["s"]) == ([3, 2, 8], [6])


@pytest.mark.parametrize(
    ("inputs", "added", "reason"),
    [
        ("x w s - order", "", "has its features in another order, or two biases"),
        ("x w s - - b", "c", "is quantized, and classes are moved or shifted behind it"),
        ("x w x", "", "reads x, which is sparse or not constant"),
        ("x x s", "", "has no constant weight with scales"),
        ("x w -", "", "has no constant weight with scales"),
    ],
)
def test_what_is_not_packed_by_rows(inputs: str, added: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        find_head(load(make(inputs, added=added), tmp_path))
    assert reason in caught.value.reason
