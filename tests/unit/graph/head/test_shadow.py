"""The law of the mask in ONNX Runtime, for every form of head: the class never wins, ties included.

Features lie inside what the form rounds them to, at its corners, and far beyond.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import ModelProto

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.bounds import find_lowest_score, read_lowest_bias
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.subgraph import expose_tensors
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.verification.changes import compare_models
from nhle_onnx.workflows.masking import check_mask, mask_head
from support.graphs import run_model
from support.head_forms import CLASSES, FEATURES, Form, draw_images, load, node
from support.quantized_forms import FORMS, NUMBERS, qdq

SEPARATE = {"sigmoid", "softmax-without-shift"}  # the latter overflows by itself
WHOLE = {"qlinear-softmax"}  # no real scores, so the first class may win a tie, and is refused
CLAMPED = {name for name in FORMS if FORMS[name]().is_clamped}
NARROW = ("qlinear-add", "qlinear-per-class")  # biases of 8 bits
REQUESTS = tuple(
    ForgetRequest(forget=forgotten, num_classes=CLASSES) for forgotten in ((0,), (1, 3), (0, 1))
)


def forget(*classes: int) -> ForgetRequest:
    return ForgetRequest(forget=classes, num_classes=CLASSES)


def copy(proto: ModelProto) -> ModelProto:
    copied = ModelProto()
    copied.CopyFrom(proto)
    return copied


@cache
def mask(name: str, request: ForgetRequest) -> ort.InferenceSession:
    with TemporaryDirectory() as folder:
        model = load(FORMS[name](), Path(folder))
    edited = copy(model.proto)
    mask_head(edited, find_head(model), request, UnlearnOptions())
    onnx.checker.check_model(edited, full_check=True)
    assert compare_models(model.proto, edited).is_graph_same
    return ort.InferenceSession(edited.SerializeToString(), providers=["CPUExecutionProvider"])


@given(
    name=st.sampled_from(sorted(FORMS.keys() - SEPARATE - CLAMPED)),
    request=st.sampled_from(REQUESTS),
    features=arrays(np.float32, FEATURES, elements=st.floats(-4, 4, width=16)),
    scale=st.sampled_from([0.0, 1.0, 1e3, 1e6]),
)
def test_a_masked_class_never_wins(
    name: str, request: ForgetRequest, features: np.ndarray, scale: float
) -> None:
    form = FORMS[name]()
    if name in WHOLE and 0 in request.forget:
        return
    size = int(np.prod(form.image)) // FEATURES
    images = np.float32(scale) * features.repeat(size).reshape(1, *form.image)
    (scores,) = mask(name, request).run(None, {"x": images})
    assert np.isfinite(scores).all()
    assert scores.reshape(CLASSES).argmax() not in request.forget


@pytest.mark.parametrize("name", [name for name in FORMS if name not in SEPARATE | CLAMPED])
def test_the_corners_of_the_features_do_not_help(name: str) -> None:
    form = FORMS[name]()
    size = int(np.prod(form.image)) // FEATURES
    corners = np.float32([*product((-1e4, 1e4), repeat=FEATURES)])
    images = corners.repeat(size, axis=1).reshape(-1, *form.image)
    batches = images[:, None] if "dynamic" in name else [images]  # has one scale for a whole batch
    for request in REQUESTS[1:2] if name in WHOLE else REQUESTS:
        session = mask(name, request)
        answers = [session.run(None, {"x": each})[0] for each in batches]
        scores = np.concatenate(answers).reshape(-1, CLASSES)
        assert not np.isin(scores.argmax(1), request.forget).any()


@pytest.mark.parametrize("name", FORMS)
def test_the_others_keep_their_scores(name: str, tmp_path: Path) -> None:
    form = FORMS[name]()
    (before,) = run_model(load(form, tmp_path).proto, draw_images(form))
    if name in CLAMPED or name in SEPARATE or "softmax" in name:
        pytest.skip("the class's own score is part of theirs, or it is masked otherwise")
    for request in REQUESTS:
        (after,) = mask(name, request).run(None, {"x": draw_images(form)})
        kept = list(request.retained)
        before, after = (each.reshape(-1, CLASSES) for each in (before, after))
        np.testing.assert_array_equal(after[:, kept], before[:, kept])


def test_a_bias_that_goes_no_lower_is_refused(tmp_path: Path) -> None:
    """The class would have the very score of another one, and may come before it."""
    form = FORMS["qlinear-add"]()
    lowest = {**form.tensors, "b": np.full(CLASSES, -128, np.int8)}
    model = load(replace(form, tensors=lowest), tmp_path)
    with pytest.raises(UnsupportedModelError, match="is the lowest that the head's format holds"):
        check_mask(model.proto, find_head(model), forget(1), UnlearnOptions())


@pytest.mark.parametrize("name", [name for name in FORMS if name.startswith(("q", "dyn", "pack"))])
def test_whole_numbers_are_copied_with_their_scales(name: str, tmp_path: Path) -> None:
    """So that the class lies a margin below another one, exactly."""
    model = load(FORMS[name](), tmp_path)
    layout = find_head(model)
    edited = copy(model.proto)
    masked = mask_head(edited, layout, forget(2), UnlearnOptions())
    head = Head(edited, layout)
    rows = head.rows.weight
    assert any(np.array_equal(rows[2], rows[other]) for other in (0, 1))
    changed = set(compare_models(model.proto, edited).changed)
    assert changed <= {layout.weight, layout.bias, *masked.adopted}
    assert bool(masked.adopted) == (name in {
        "qdq-per-class", "qdq-turned", "qdq-unsigned", "qdq-blocks", "qlinear-conv",
        "dynamic-per-class", "qlinear-per-class", "packed", "packed-points", "packed-bytes",
        "packed-without-bias",
    })  # fmt: skip
    again = find_head(load(edited, tmp_path))
    restored = Head(edited, again).restore(Head(model.proto, layout))
    images = draw_images(FORMS[name]())
    (now,), (was,) = (run_model(each, images) for each in (restored, model.proto))
    np.testing.assert_allclose(now, was, atol=1e-6)


@pytest.mark.parametrize("name", NARROW)
def test_a_bias_without_room_says_what_margin_it_has(name: str, tmp_path: Path) -> None:
    model = load(FORMS[name](), tmp_path)
    (note,) = check_mask(model.proto, find_head(model), forget(2), UnlearnOptions())
    assert "the head's bias has room for" in note
    assert "never wins" in note


def test_the_first_class_is_read_one_step_lower(tmp_path: Path) -> None:
    """Where all scores lie at the end of the output's range, in any order of forgetting."""
    model = load(FORMS["qdq"](), tmp_path)
    edited = copy(model.proto)
    (note,) = mask_head(edited, find_head(model), forget(0), UnlearnOptions()).notes
    assert "read one step lower" in note
    lowest = find_lowest_score(Head(model.proto, find_head(model)))
    for proto, wins in ((model.proto, True), (edited, False)):
        bias = np.full(CLASSES, -(2**20), np.int32)
        sunk = copy(proto)
        (tensor,) = (each for each in sunk.graph.initializer if each.name == "b")
        tensor.CopyFrom(onnx.numpy_helper.from_array(bias, "b"))
        (scores,) = run_model(sunk, draw_images(FORMS["qdq"]()))
        assert scores[:, 1:].max() == pytest.approx(lowest)
        assert (scores.argmax(1) == 0).all() == wins


@pytest.mark.parametrize("ends", ["whole", "clamped", "highest zero point", "old"])
def test_the_first_class_is_refused_where_a_tie_stays(ends: str, tmp_path: Path) -> None:
    form = FORMS["qdq"]()
    nodes, tensors = list(form.nodes), dict(form.tensors)
    if ends == "whole":
        nodes = nodes[:-1]
        nodes[-1].output[0] = "y"
    if ends == "clamped":
        nodes[-1].output[0] = "r"
        nodes.append(node("Relu", "r", "y"))
    if ends == "highest zero point":
        tensors["op"] = np.uint8(255)
    model = load(replace(form, nodes=nodes, tensors=tensors), tmp_path)
    if ends == "old":
        model.proto.opset_import[0].version = 12
    head = find_head(model)
    with pytest.raises(UnsupportedModelError, match="class 0 wins whenever"):
        check_mask(model.proto, head, forget(0), UnlearnOptions())
    notes = check_mask(model.proto, head, forget(1), UnlearnOptions())
    assert len(notes) == (ends == "clamped")
    assert all("loses even a tie, as class 0 stands before it" in note for note in notes)


def test_scales_of_other_layers_stay(tmp_path: Path) -> None:
    form = FORMS["qdq-per-class"]()
    nodes = [node("DequantizeLinear", "other s p", "more", axis=0), *form.nodes]
    tensors = {**form.tensors, "other": np.zeros((CLASSES, 2), np.int8)}
    model = load(replace(form, nodes=nodes, tensors=tensors), tmp_path)
    with pytest.raises(UnsupportedModelError, match="or serve other layers"):
        check_mask(model.proto, find_head(model), forget(1), UnlearnOptions())


def test_a_block_of_classes_has_one_scale(tmp_path: Path) -> None:
    """A class may be the shadow of one of its own block only."""
    scales = np.float32([[0.01] * FEATURES, [0.02] * FEATURES])
    form = qdq(NUMBERS, scales, None, 0, block_size=2)
    model = load(form, tmp_path)
    head = find_head(model)
    assert check_mask(model.proto, head, forget(1), UnlearnOptions()) == ()
    with pytest.raises(UnsupportedModelError, match="blocks of classes"):
        check_mask(model.proto, head, forget(2), UnlearnOptions())


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
    held = {each.name: onnx.numpy_helper.to_array(each) for each in edited.graph.initializer}
    assert set(held["b"]) == ({-128} if name == "qlinear-add" else {-(2**30)})


@pytest.mark.parametrize("name", ["gemm", "qdq", "qgemm", "qlinear-conv"])
def test_scores_end_at_the_lowest_number_of_the_output(name: str, tmp_path: Path) -> None:
    form = FORMS[name]()
    model = load(form, tmp_path)
    lowest = find_lowest_score(Head(model.proto, find_head(model)))
    if name == "gemm":
        assert lowest is None
        return
    images = np.float32([*product((-1e4, 1e4), repeat=FEATURES)]).reshape(-1, *form.image)
    (scores,) = run_model(model.proto, images)
    tensors = {
        each.name: onnx.numpy_helper.to_array(each) for each in model.proto.graph.initializer
    }
    low = np.iinfo(tensors["op"].dtype).min
    assert lowest == pytest.approx((low - int(tensors["op"])) * float(tensors["os"]))
    assert scores.min() >= lowest - 1e-6


def test_a_floor_that_the_bias_cannot_reach_is_refused(tmp_path: Path) -> None:
    model = load(FORMS["qlinear-add"](), tmp_path)
    options = UnlearnOptions(mask="floor")
    with pytest.raises(UnsupportedModelError, match=r"reaches down to -1\.21 only"):
        check_mask(model.proto, find_head(model), forget(1), options)


def make_sigmoid(make: Callable[[], Form]) -> Form:
    form = make()
    *nodes, last = form.nodes
    last.output[0], last.name = "scores", "scores"
    return replace(form, nodes=[*nodes, last, node("Sigmoid", "scores", "y")])


def run_scores(proto: ModelProto, form: Form) -> list[np.ndarray]:
    return run_model(expose_tensors(proto, "scores"), draw_images(form))


@pytest.mark.parametrize(
    ("name", "score"),
    [("gemm-columns", -30), ("qdq", -12), ("dynamic", -30), ("gemm-factors", -30)],
)
def test_a_score_that_is_read_by_itself_is_low_and_modest(
    name: str, score: float, tmp_path: Path
) -> None:
    """Whatever the features; as low as the output's own range, where that ends before."""
    form = make_sigmoid(FORMS[name])
    model = load(form, tmp_path)
    edited = copy(model.proto)
    mask_head(edited, find_head(model), forget(0), UnlearnOptions())
    (was,), (now,) = (run_scores(each, form) for each in (model.proto, edited))
    np.testing.assert_allclose(now[:, 0], score, rtol=1e-2)
    np.testing.assert_array_equal(now[:, 1:], was[:, 1:])
