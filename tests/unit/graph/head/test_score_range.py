"""The range of rounded scores, by what ONNX Runtime makes of scores beyond it; and a wider one."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from onnx import ModelProto, helper, numpy_helper

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.bounds import (
    Range,
    find_score_range,
    read_lowest_bias,
    read_range,
    widen_scores,
)
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.head.real_values import with_real_values
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.subgraph import expose_tensors
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.workflows.masking import check_mask
from support.assertions import assert_told
from support.graphs import run_model
from support.head_forms import BIAS, CLASSES, FEATURES, WEIGHT, Form, build, load, node
from support.quantized_forms import FORMS

ROUNDED = ("qdq", "qdq-per-class", "qgemm", "qlinear-conv")


def copy(proto: ModelProto) -> ModelProto:
    copied = ModelProto()
    copied.CopyFrom(proto)
    return copied


def round_scores(proto: ModelProto, scores: np.ndarray) -> np.ndarray:
    """What ONNX Runtime's own nodes round scores to, by the output's scale and zero point."""
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    nodes = [node("QuantizeLinear", "x os op", "q"), node("DequantizeLinear", "q os op", "y")]
    kept = {name: tensors[name] for name in ("os", "op")}
    rounding = build(Form(nodes=nodes, tensors=kept, op="", image=(), declared=()))
    (rounded,) = run_model(rounding, scores.astype(np.float32))
    return rounded


def measure(proto: ModelProto) -> Range:
    """Both ends, and the distance of neighbours, by rounding many numbers."""
    lowest, highest = round_scores(proto, np.array([-1e6, 1e6]))
    found = np.unique(round_scores(proto, np.linspace(lowest, highest, 4000)))
    return Range(lowest=lowest, highest=highest, step=float(np.median(np.diff(found))))


@pytest.mark.parametrize("name", ROUNDED)
def test_scores_end_where_the_range_ends(name: str, tmp_path: Path) -> None:
    model = load(FORMS[name](), tmp_path)
    found = find_score_range(Head(model.proto, find_head(model)))
    assert found is not None
    expected = measure(model.proto)
    for field in ("lowest", "highest", "step"):
        assert getattr(found, field) == pytest.approx(getattr(expected, field), rel=1e-5)


@pytest.mark.parametrize("name", [*ROUNDED, "qdq-turned", "dynamic", "gemm"])
def test_features_end_where_their_range_ends(name: str, tmp_path: Path) -> None:
    """By images far beyond it; real ones have none."""
    form = FORMS[name]()
    model = load(form, tmp_path)
    head = find_head(model)
    if name not in ROUNDED:
        assert head.feature_limits is None
        return
    assert head.feature_limits is not None
    limits = read_range(GraphIndex(model.proto), head.feature_limits)
    real, names = with_real_values(model.proto, head)
    images = np.stack([np.full(form.image, value, np.float32) for value in (-1e6, 1e6)])
    (features,) = run_model(expose_tensors(real, names.features), images)
    assert features.min() == pytest.approx(limits.lowest)
    assert features.max() == pytest.approx(limits.highest)


@pytest.mark.parametrize("steps", ["computed", "many"])
def test_features_without_one_range_can_be_anything(steps: str, tmp_path: Path) -> None:
    """Then all retained scores may lie at the lowest, with the masked one."""
    rounding = {
        "computed": [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "is", "ip"]),
            node("DequantizeLinear", "q is ip", "xr"),
        ],
        "many": [
            node("QuantizeLinear", "x is", "q", axis=1),
            node("DequantizeLinear", "q is", "xr", axis=1),
        ],
    }[steps]  # fmt: skip
    nodes = [
        *rounding, node("Gemm", "xr w b", "z", transB=1),
        node("QuantizeLinear", "z os op", "zq"), node("DequantizeLinear", "zq os op", "y"),
    ]  # fmt: skip
    tensors = {"w": WEIGHT, "b": BIAS, "os": np.float32(0.1), "op": np.uint8(120)}
    if steps == "many":
        tensors["is"] = np.linspace(0.01, 0.1, FEATURES, dtype=np.float32)
    model = load(Form(nodes=nodes, tensors=tensors, op="Gemm"), tmp_path)
    ort.InferenceSession(model.path, providers=["CPUExecutionProvider"])
    head = find_head(model)
    for index in range(CLASSES):
        request = ForgetRequest(forget=(index,), num_classes=CLASSES)
        if index == 0:
            with pytest.raises(UnsupportedModelError, match="class 0 wins such a tie"):
                check_mask(model.proto, head, request, UnlearnOptions())
        else:
            (note,) = check_mask(model.proto, head, request, UnlearnOptions())
            assert "tie with the masked class, which loses" in note


def test_real_scores_have_no_range(tmp_path: Path) -> None:
    model = load(FORMS["gemm"](), tmp_path)
    head = find_head(model)
    assert find_score_range(Head(model.proto, head)) is None
    assert read_lowest_bias(Head(model.proto, head)) is None
    assert widen_scores(Head(model.proto, head), -1.0) == ()


def test_of_two_ranges_the_narrower_counts(tmp_path: Path) -> None:
    """Scores that are rounded twice."""
    form = FORMS["qdq"]()
    nodes = [
        *form.nodes[:-1], node("DequantizeLinear", "zq os op", "v"),
        node("QuantizeLinear", "v vs vp", "vq"), node("DequantizeLinear", "vq vs vp", "y"),
    ]  # fmt: skip
    for step in (0.05, 0.5):
        tensors = {**form.tensors, "vs": np.float32(step), "vp": np.uint8(100)}
        model = load(Form(nodes=nodes, tensors=tensors, op="Gemm"), tmp_path)
        found = find_score_range(Head(model.proto, find_head(model)))
        assert found is not None
        assert found.lowest == pytest.approx(max(-100 * step, -12.0))


@pytest.mark.parametrize("name", ["qdq", "qgemm", "qlinear-conv", "qlinear-add"])
def test_the_lowest_bias_is_the_lowest_that_is_held(name: str, tmp_path: Path) -> None:
    """Of 32 bits half the range, so that a sum with products stays in it."""
    model = load(FORMS[name](), tmp_path)
    head = find_head(model)
    lowest = read_lowest_bias(Head(model.proto, head))
    assert lowest is not None
    weight, _ = Head(model.proto, head).read()
    edited = copy(model.proto)
    Head(edited, head).write(weight, lowest)
    np.testing.assert_allclose(Head(edited, head).read()[1], lowest)
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in edited.graph.initializer}
    assert set(held["b"]) == ({-128} if name == "qlinear-add" else {-(2**30)})


@pytest.mark.parametrize("name", ROUNDED)
@pytest.mark.parametrize("below", [0.05, 0.5, 5.0, 50.0])
def test_a_wider_range_has_room_below(name: str, below: float, tmp_path: Path) -> None:
    """At least a step below what can win, and nothing lost above."""
    model = load(FORMS[name](), tmp_path)
    head = find_head(model)
    before = find_score_range(Head(model.proto, head))
    assert before is not None
    best = before.lowest - below
    changed = copy(model.proto)
    assert set(widen_scores(Head(changed, head), best)) == {"os", "op"}
    after = measure(changed)
    assert after.lowest + 0.999 * after.step <= best
    assert after.lowest + 3 * after.step > best
    assert -1e-3 <= after.highest - before.highest < 2 * after.step
    olds, news = ({t.name: t for t in each.graph.initializer} for each in (model.proto, changed))
    assert {name for name in olds if olds[name] != news[name]} == {"os", "op"}


def test_where_there_is_room_nothing_changes(tmp_path: Path) -> None:
    model = load(FORMS["qdq"](), tmp_path)
    head = find_head(model)
    before = find_score_range(Head(model.proto, head))
    assert before is not None
    changed = copy(model.proto)
    assert widen_scores(Head(changed, head), before.lowest + 1.01 * before.step) == ()
    assert changed == model.proto
    assert widen_scores(Head(changed, head), before.lowest + 0.99 * before.step) != ()


@pytest.mark.parametrize("without", ["zero point", "own scale"])
def test_a_scale_that_cannot_move(without: str, tmp_path: Path) -> None:
    form = FORMS["qdq"]()
    last = "os" if without == "zero point" else "os op"
    nodes = [
        *form.nodes[:-2], node("QuantizeLinear", f"z {last}", "zq"),
        node("DequantizeLinear", f"zq {last}", "y"),
    ]  # fmt: skip
    if without == "own scale":
        nodes.insert(0, node("Mul", "x os", "unused"))
    tensors = {
        name: values for name, values in form.tensors.items() if name != "op" or last == "os op"
    }
    model = load(Form(nodes=nodes, tensors=tensors, op="Gemm"), tmp_path)
    head = find_head(model)
    found = find_score_range(Head(model.proto, head))
    assert found is not None
    with pytest.raises(UnsupportedModelError) as caught:
        widen_scores(Head(model.proto, head), found.lowest - 1)
    assert_told(
        caught.value, "the output's scale os serves other tensors as well, or cannot change"
    )
    if without == "zero point":
        assert found.lowest == 0.0
