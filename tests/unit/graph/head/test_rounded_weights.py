"""Heads and layers as training for quantization exports them: floats that the graph rounds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import ModelProto, numpy_helper

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.head.drop import drop_classes
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import Head
from nhle_onnx.lowering.module import lower_classifier
from nhle_onnx.lowering.weights import list_weights
from nhle_onnx.unlearning.scope import describe_share, select_tensors
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.workflows.masking import mask_head
from support.graphs import Array, keep_used, make_model, run_model
from support.head_forms import BIAS, CLASSES, FEATURES, RNG, WEIGHT, Form, draw_images, load, node

STEPS = {
    "tensor": np.float32(np.abs(WEIGHT).max() / 127),
    "channel": (np.abs(WEIGHT).max(1) / 127).astype(np.float32),
}
POINTS = {"tensor": np.int8(0), "channel": np.zeros(CLASSES, np.int8)}


def make(steps: str, *, turns: bool = False) -> Form:
    """A Gemm whose weight is rounded each time, between rounded features and scores."""
    nodes = [
        node("QuantizeLinear", "x is ip", "xq"), node("DequantizeLinear", "xq is ip", "xr"),
        node("QuantizeLinear", "w s p", "wq", axis=0),
        node("DequantizeLinear", "wq s p", "wr", axis=0),
        node("Transpose", "wr", "t"), node("Gemm", "xr t b" if turns else "xr wr b", "z"),
        node("QuantizeLinear", "z os op", "zq"), node("DequantizeLinear", "zq os op", "y"),
    ]  # fmt: skip
    if not turns:
        nodes[4:6] = [node("Gemm", "xr wr b", "z", transB=1)]
    tensors = {
        "is": np.float32(0.02), "ip": np.int8(3), "w": WEIGHT, "b": BIAS, "s": STEPS[steps],
        "p": POINTS[steps], "os": np.float32(0.05), "op": np.int8(3),
    }  # fmt: skip
    return Form(nodes=nodes, tensors=tensors, op="Gemm", step=0.05)


@pytest.mark.parametrize("turns", [False, True])
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("forgotten", [0, 2])
def test_a_rounded_head_is_masked(steps: str, forgotten: int, turns: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter
    model = load(make(steps, turns=turns), tmp_path)
    layout = find_head(model)
    edited = ModelProto()
    edited.CopyFrom(model.proto)
    request = ForgetRequest(forget=(forgotten,), num_classes=CLASSES)
    masked = mask_head(edited, layout, request, UnlearnOptions())
    assert masked.adopted == (("s",) if steps == "channel" else ())
    assert Head(edited, layout).element_type.name == "int8"
    images = np.concatenate([draw_images(make(steps)), np.full((1, FEATURES), -1e4, np.float32)])
    (was,), (now,) = (run_model(each, images, fuses=False) for each in (model.proto, edited))
    kept = list(request.retained)
    np.testing.assert_array_equal(now[:, kept], was[:, kept])
    assert not (now.argmax(1) == forgotten).any()
    restored = Head(edited, find_head(load(edited, tmp_path))).restore(Head(model.proto, layout))
    (again,) = run_model(restored, images, fuses=False)
    np.testing.assert_allclose(again, was, atol=1e-6)


@pytest.mark.parametrize("steps", STEPS)
def test_rows_of_a_rounded_head_are_cut(steps: str, tmp_path: Path) -> None:
    model = load(make(steps), tmp_path)
    smaller = ModelProto()
    smaller.CopyFrom(model.proto)
    drop_classes(smaller, find_head(model), (1,))
    was, now = (run_model(each, draw_images(make(steps)))[0] for each in (model.proto, smaller))
    np.testing.assert_array_equal(now, np.delete(was, 1, 1))


def test_without_a_zero_point_no_weight_is_below_0(tmp_path: Path) -> None:
    """Whole numbers are unsigned then, by the definition of QuantizeLinear."""
    form = make("tensor")
    for each in form.nodes[2:4]:
        del each.input[2:]
    model = load(
        replace(form, tensors={k: v for k, v in form.tensors.items() if k != "p"}), tmp_path
    )
    layout = find_head(model)
    assert Head(model.proto, layout).element_type.name == "uint8"
    edited = copy_model(model.proto)
    mask_head(edited, layout, ForgetRequest(forget=(1,), num_classes=CLASSES), UnlearnOptions())
    (was,), (now,) = (run_model(each, draw_images(form)) for each in (model.proto, edited))
    kept = [0, 2, 3]
    assert (was.argmax(1) == 1).any()
    np.testing.assert_array_equal(now[:, kept], was[:, kept])
    assert not (now.argmax(1) == 1).any()


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("on_left", [False, True])
def test_the_first_class_is_read_one_step_lower(moved: bool, on_left: bool, tmp_path: Path) -> None:  # noqa: FBT001 - parameters
    """Where scores are all rounded to the same number; but not where classes lie along another
    axis than the last.
    """
    nodes = [
        node("Gemm", "x w b", "z", transB=1), node("QuantizeLinear", "z os op", "zq"),
        node("DequantizeLinear", "zq os op", "d"), node("Identity", "d", "y"),
    ]  # fmt: skip
    if on_left:
        nodes[0] = node("MatMul", "w xt", "z")
        nodes = [node("Transpose", "x", "xt"), *nodes[:-1], node("Transpose", "d", "y")]
    elif not moved:
        nodes = nodes[:-1]
        nodes[-1].output[0] = "y"
    tensors = {"w": WEIGHT, "b": BIAS, "os": np.float32(0.05), "op": np.int8(3)}
    form = Form(nodes=nodes, tensors=keep_used(tensors, nodes), op="")
    model = load(form, tmp_path)
    edited, head = copy_model(model.proto), find_head(model)
    request = ForgetRequest(forget=(0,), num_classes=CLASSES)
    if on_left:
        with pytest.raises(UnsupportedModelError, match="class 0 wins whenever all scores"):
            mask_head(edited, head, request, UnlearnOptions())
        return
    mask_head(edited, head, request, UnlearnOptions())
    images = np.full((1, FEATURES), -1e4, np.float32) * np.sign(WEIGHT.sum(0))
    images = np.concatenate([images, -images, 0 * images, draw_images(form)])
    assert not (run_model(edited, images)[0].argmax(1) == 0).any()


def test_a_rounded_bias_is_refused(tmp_path: Path) -> None:
    """It may have no room for a lower number."""
    form = make("tensor")
    nodes = [
        node("QuantizeLinear", "b s p", "bq"), node("DequantizeLinear", "bq s p", "br"),
        *form.nodes,
    ]  # fmt: skip
    nodes[6].input[2] = "br"
    with pytest.raises(UnsupportedModelError, match="a bias that the graph rounds"):
        find_head(load(replace(form, nodes=nodes), tmp_path))


def test_scales_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    form = make("channel")
    for name, values in (("s", np.ones(3, np.float32)), ("p", np.zeros(3, np.int8))):
        proto = load(form, tmp_path).proto
        (tensor,) = (each for each in proto.graph.initializer if each.name == name)
        tensor.CopyFrom(numpy_helper.from_array(values, name))
        with pytest.raises(UnsupportedModelError, match="scale or zero point does not fit"):
            find_head(replace(load(form, tmp_path), proto=proto))


def make_net(*, is_rounded: bool = True) -> ModelProto:
    """A hidden layer before a head, with a weight that is rounded, or that is turned round."""
    hidden: dict[str, Array] = {
        "v": RNG.normal(size=(FEATURES, FEATURES)).astype(np.float32), "vs": np.float32(0.02),
        "vp": np.int8(0),
    }  # fmt: skip
    nodes = [
        node("QuantizeLinear", "v vs vp", "vq"), node("DequantizeLinear", "vq vs vp", "vr"),
        node("Gemm", "x vr", "h"), node("Gemm", "h w b", "y", transB=1),
    ]  # fmt: skip
    if not is_rounded:
        nodes[:2] = [node("Neg", "v", "vr")]
    used = {name for each in nodes for name in each.input}
    tensors = {name: values for name, values in hidden.items() if name in used}
    return make_model(
        nodes, {"x": ["n", FEATURES]}, {"y": ["n", CLASSES]}, tensors | {"w": WEIGHT, "b": BIAS}
    )


def test_rounded_weights_are_trained_through_the_rounding(tmp_path: Path) -> None:
    """The gradient reaches the floats, and a change of less than half a step changes nothing."""
    model = load(make_net(), tmp_path)
    head = find_head(model)
    assert set(list_weights(model.proto, model.opset, "y")) == {"v", "w", "b"}
    names = select_tensors(model, head, "features")
    assert names == ("v",)
    assert describe_share(model, head, names, "features") == ()
    lowered = lower_classifier(model, source="x", head=head)
    images = RNG.normal(size=(4, FEATURES)).astype(np.float32)
    scores = lowered.module(torch.from_numpy(images))[0]
    np.testing.assert_allclose(scores.detach(), run_model(model.proto, images)[0], atol=1e-4)
    scores.square().sum().backward()
    gradients = [each.grad for each in lowered.module.parameters() if each.grad is not None]
    assert any(grad.shape == (FEATURES, FEATURES) and grad.abs().min() > 0 for grad in gradients)


def test_what_is_not_trained_is_told(tmp_path: Path) -> None:
    """Here nothing: the only weight before the head is the negative of one."""
    model = load(make_net(is_rounded=False), tmp_path)
    head = find_head(model)
    names = select_tensors(model, head, "features")
    (note,) = describe_share(model, head, names, "features")
    assert note == (
        "0 of 36 weights before the head are trained (0 %): v is read by Neg, which holds no "
        "weight that training knows"
    )
