"""The class's channel of every scale of a detector."""

from dataclasses import replace

import numpy as np
import pytest
from onnx import numpy_helper

from nhle_onnx.unlearning.channel_mask import list_own, mask_channels, resolve_channel_mask
from nhle_onnx.values.detector import BoxTensor, ClassLayer, Detector, ScoreTensor
from nhle_onnx.values.model import ClassifierHead
from nhle_onnx.values.request import ForgetRequest, Mask
from support.graphs import make_model, make_node

HEAD = ClassifierHead(
    op="Conv", node="one", weight="one.w", bias="one.b", bias_scale=1.0, class_axis=0,
    num_classes=3, feature_dim=2, features="one.h", logits="one.z", scores="one.z",
    is_clamped=False, output="one.z", logits_axis=1,
)  # fmt: skip
OTHER = replace(HEAD, node="two", weight="two.w", bias="two.b", features="two.h", logits="two.z")
DETECTOR = Detector(
    layers=tuple(ClassLayer(head=head, extents=(2, 2), start=0, step=1) for head in (HEAD, OTHER)),
    scores=ScoreTensor(name="s", axis=2, columns=(0, 1)),
    boxes=BoxTensor(name="b", axis=2, form="corners", is_relative=False),
    num_classes=2,
    competes=True,
    suppresses=False,
)
ROWS = np.float32([[1, 2], [3, 4], [5, 6]])


@pytest.mark.parametrize(
    ("mask", "row", "bias"), [("convex", [5.0, 6.0], 9.0 - 10), ("floor", [0.0, 0.0], -30.0)]
)
def test_the_class_is_masked_at_every_scale(mask: Mask, row: list[float], bias: float) -> None:
    tensors = {}
    for name in ("one", "two"):
        tensors |= {f"{name}.w": ROWS.reshape(3, 2, 1, 1), f"{name}.b": np.float32([7, 8, 9])}
    nodes = [
        make_node("Conv", f"{name}.h {name}.w {name}.b", f"{name}.z") for name in ("one", "two")
    ]
    proto = make_model(nodes, {"one.h": None, "two.h": None}, {}, tensors)
    mask_channels(proto, DETECTOR, ForgetRequest(forget=(1,), num_classes=2), mask)
    found = {each.name: numpy_helper.to_array(each).tolist() for each in proto.graph.initializer}
    for name in ("one", "two"):
        rows = [[1.0, 2.0], row, [5.0, 6.0]]
        assert np.reshape(found[f"{name}.w"], (3, 2)).tolist() == rows
        assert found[f"{name}.b"] == [7.0, bias, 9.0]


def test_a_background_that_competes_is_followed() -> None:
    alone = replace(DETECTOR, competes=False)
    without = replace(DETECTOR, num_classes=3)
    found = [
        resolve_channel_mask("auto", each, has_steps=False) for each in (DETECTOR, alone, without)
    ]
    assert found == ["convex", "floor", "floor"]
    assert resolve_channel_mask("auto", DETECTOR, has_steps=True) == "floor"
    assert resolve_channel_mask("zero", DETECTOR, has_steps=True) == "zero"


def test_the_tensors_of_the_channels_are_named() -> None:
    assert list_own(DETECTOR.layers) == {"one.w", "one.b", "two.w", "two.b"}
    plain = ClassLayer(head=replace(HEAD, bias=None), extents=(1,), start=0, step=1)
    assert list_own((plain,)) == {"one.w"}
