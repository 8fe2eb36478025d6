"""Every form of head: what is read of it is what ONNX Runtime computes with, and so is an edit."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from nhle_onnx.graph.head.find import find_head, list_other_heads
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.head.real_values import with_real_values
from nhle_onnx.graph.subgraph import expose_tensors
from nhle_onnx.values.model import ClassifierHead
from support.graphs import run_model
from support.head_forms import CLASSES, FEATURES, Form, draw_images, load
from support.quantized_forms import FORMS

Values = np.ndarray[Any, Any]


def run_head(proto: ModelProto, head: ClassifierHead, images: Values) -> tuple[Values, Values]:
    """Features [N, D], averaged over a map, and scores [N, K]."""
    real, names = with_real_values(proto, head)
    assert (names.feature_quant_params, names.scores_quant_params) == (None, None)
    features, scores = run_model(expose_tensors(real, names.features, names.scores), images)
    pooled = features.reshape(*features.shape[:2], -1).mean(-1)
    return pooled, scores.reshape(-1, CLASSES)


def list_rows(head: ClassifierHead, weight: Values) -> Values:
    return np.moveaxis(weight, head.class_axis, 0).reshape(CLASSES, FEATURES)


def compute(
    form: Form, head: ClassifierHead, features: Values, weight: Values, bias: Values
) -> Values:
    scores: Values = form.alpha * features @ list_rows(head, weight).T + head.bias_scale * bias
    return scores.clip(0) if any(node.op_type == "Relu" for node in form.nodes) else scores


@pytest.mark.parametrize("name", FORMS)
def test_what_is_read_is_what_is_computed(name: str, tmp_path: Path) -> None:
    form = FORMS[name]()
    model = load(form, tmp_path)
    head = find_head(model)
    assert (head.op, head.num_classes, head.feature_dim) == (form.op, CLASSES, FEATURES)
    assert (head.is_clamped, head.bias_scale) == (form.is_clamped, form.bias_scale)
    assert head.output == "y"
    assert list_other_heads(model, head) == ()
    weight, bias = Head(model.proto, head).read()
    np.testing.assert_allclose(list_rows(head, weight), form.weight, rtol=1e-6)
    np.testing.assert_allclose(bias, form.bias, rtol=1e-6, atol=1e-9)
    if head.bias is None:
        assert bias.dtype == np.float32
    features, scores = run_head(model.proto, head, draw_images(form))
    expected = compute(form, head, features, weight, bias)
    np.testing.assert_allclose(scores, expected, atol=form.step or 1e-5)
    assert np.ptp(scores) > 10 * form.step


@pytest.mark.parametrize("name", FORMS)
def test_what_is_written_is_what_is_computed(name: str, tmp_path: Path) -> None:
    """Class 1 masked, class 2 made another: all the rest of the model stays as it is."""
    form = FORMS[name]()
    model = load(form, tmp_path)
    head = find_head(model)
    weight, bias = (each.copy() for each in Head(model.proto, head).read())
    rows = np.moveaxis(weight, head.class_axis, 0)
    rows[1], rows[2] = 0, rows[2][::-1]
    bias[1], bias[2] = -1.0 / head.bias_scale, 0.25
    edited = ModelProto()
    edited.CopyFrom(model.proto)
    Head(edited, head).write(weight, bias)
    onnx.checker.check_model(edited, full_check=True)
    again = find_head(load(edited, tmp_path))
    half = 0.5001 * 0.0625 if head.weight_quant_params else 1e-6
    now, now_bias = Head(edited, again).read()
    np.testing.assert_allclose(now, weight, atol=half)
    np.testing.assert_allclose(now_bias, bias, atol=half)
    features, scores = run_head(edited, again, draw_images(form))
    expected = compute(form, again, features, now, now_bias)
    np.testing.assert_allclose(scores, expected, atol=form.step or 1e-5)
    assert_only_the_head_differs(model.proto, edited, head)


@pytest.mark.parametrize(
    ("name", "expected"), [("gemm", "float32"), ("qdq", "int8"), ("qdq-unsigned", "uint8")]
)
def test_a_head_says_its_number_format(name: str, expected: str, tmp_path: Path) -> None:
    model = load(FORMS[name](), tmp_path)
    assert Head(model.proto, find_head(model)).element_type.name == expected


def assert_only_the_head_differs(
    before: ModelProto, after: ModelProto, head: ClassifierHead
) -> None:
    olds, news = ({t.name: t for t in each.graph.initializer} for each in (before, after))
    changed = {name for name, tensor in news.items() if tensor != olds.get(name)}
    assert changed <= {head.weight, head.bias} | (news.keys() - olds.keys())
    assert olds.keys() <= news.keys()
    for name in changed & olds.keys():
        assert (olds[name].data_type, olds[name].dims) == (news[name].data_type, news[name].dims)
    names, kept = ([node.name for node in each.graph.node] for each in (before, after))
    assert [name for name in kept if name in names] == names
    assert before.graph.output == after.graph.output
