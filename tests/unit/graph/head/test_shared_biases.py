"""A bias that other nodes read as well, in every shape and behind every alias."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import Head
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.verification.changes import compare_models
from nhle_onnx.workflows.masking import mask_head
from support.graphs import run_model
from support.head_forms import (
    BIAS,
    CLASSES,
    FEATURES,
    FLAT,
    WEIGHT,
    Form,
    build,
    conv,
    layer,
    load,
    node,
)

NEW = np.arange(CLASSES, dtype=np.float32)
ALIASES = [node("Identity", "b", "i"), node("Cast", "i", "j", to=TensorProto.FLOAT)]
PRODUCT = node("MatMul", "x w", "z")
SHARED: dict[str, tuple[Form, str]] = {
    "a map's": (conv(node("Conv", "x w", "s"), node("Add", "s c", "z"), FLAT), "c"),
    "a map's, on the left": (conv(node("Conv", "x w", "s"), node("Add", "c s", "z"), FLAT), "c"),
    "behind aliases": (layer(*ALIASES, PRODUCT, node("Add", "z j", "y")), "j"),
    "behind aliases, on the left": (layer(*ALIASES, PRODUCT, node("Add", "j z", "y")), "j"),
    "a Gemm's behind an alias": (layer(ALIASES[0], node("Gemm", "x w i", "y")), "i"),
}


def share(form: Form, name: str) -> ModelProto:
    """The form, with another output that reads the bias."""
    proto = build(form)
    proto.graph.node.append(node("Neg", name, "other"))
    shape = [1, CLASSES, 1, 1] if name == "c" else [CLASSES]
    proto.graph.output.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, shape))
    return proto


@pytest.mark.parametrize("case", SHARED)
@pytest.mark.parametrize("is_shared", [True, False])
def test_a_bias_is_written_for_the_head_alone(
    case: str,
    is_shared: bool,  # noqa: FBT001 - a parameter
    tmp_path: Path,
) -> None:
    form, name = SHARED[case]
    proto = share(form, name) if is_shared else build(form)
    model = load(proto, tmp_path)
    edited = ModelProto()
    edited.CopyFrom(model.proto)
    head = find_head(model)
    Head(edited, head).write(Head(model.proto, head).read().weight, NEW)
    onnx.checker.check_model(edited, full_check=True)
    assert compare_models(model.proto, edited).is_graph_same
    images = np.ones((2, *form.image), np.float32)
    was, now = (run_model(each, images) for each in (model.proto, edited))
    np.testing.assert_allclose(now[0] - was[0], [NEW - BIAS] * 2, atol=1e-5)
    if is_shared:
        np.testing.assert_array_equal(now[1], was[1])
    held = {each.name: numpy_helper.to_array(each) for each in edited.graph.initializer}
    assert len(held) == (3 if is_shared else 2)
    added = find_head(load(edited, tmp_path), output=head.output).bias
    assert added
    assert held[added].ravel().tolist() == NEW.tolist()
    assert held[added].shape == tuple(
        next(each.dims for each in proto.graph.initializer if each.name == head.bias)
    )


def test_two_heads_that_share_whole_numbers_as_their_bias_are_masked(tmp_path: Path) -> None:
    """Optimum stores equal biases once, as DeiT's two heads have before they are trained."""
    whole = {"q": np.arange(CLASSES, dtype=np.int32), "s": np.array(0.5, np.float32)}
    form = layer(
        node("DequantizeLinear", "q s", "r"), node("Gemm", "x w r", "z"), node("Tanh", "x", "h"),
        node("Gemm", "h v r", "u"), node("Add", "z u", "sum"), node("Mul", "sum s", "y"),
        v=np.ascontiguousarray(WEIGHT[::-1].T), **whole,
    )  # fmt: skip
    model = load(form, tmp_path)
    edited = ModelProto()
    edited.CopyFrom(model.proto)
    request = ForgetRequest(forget=(1,), num_classes=CLASSES)
    mask_head(edited, find_head(model), request, UnlearnOptions())
    changes = compare_models(model.proto, edited)
    assert changes.is_graph_same
    assert len(changes.added) == 1
    images = np.random.default_rng(1).normal(size=(60, FEATURES)).astype(np.float32)
    assert (run_model(model.proto, images)[0].argmax(1) == 1).any()
    assert not (run_model(edited, images)[0].argmax(1) == 1).any()
