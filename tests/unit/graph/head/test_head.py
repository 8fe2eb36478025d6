"""One head, whatever operator, scales and number format it has: put on other features, it scores
them as it did on its own.
"""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, helper, numpy_helper

import nhle_onnx
from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head import tail
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.head.patterns import registry
from nhle_onnx.graph.head.patterns.layer import Layer, Stored, resolve
from nhle_onnx.graph.head.real_values import with_real_values
from nhle_onnx.graph.subgraph import expose_tensors
from nhle_onnx.graph.tensors import list_tensors
from nhle_onnx.values.model import ClassifierHead
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.workflows.masking import mask_head
from support.graphs import run_model
from support.head_forms import (
    BIAS,
    CLASSES,
    FLOAT_FORMS,
    WEIGHT,
    Form,
    draw_images,
    fill_rows,
    follow,
    load,
    node,
)
from support.quantized_forms import FORMS, I8, NUMBERS, ONE_STEP, qdq
from support.runs import Nhle, unlearn
from support.shipped import EVALUATION, LENET, copy_sidecars


def negate_head(path: Path, out: Path) -> Path:
    """The same function, computed as -1 times the negated weights."""
    model = onnx.load(path)
    head = [node for node in model.graph.node if node.op_type == "Gemm"][-1]
    (weight,) = [each for each in model.graph.initializer if each.name == head.input[1]]
    weight.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(weight), weight.name))
    kept = [attribute for attribute in head.attribute if attribute.name != "alpha"]
    del head.attribute[:]
    head.attribute.extend([*kept, onnx.helper.make_attribute("alpha", -1.0)])
    onnx.save(model, out)
    copy_sidecars(out.parent, path)
    return out


def test_verify_and_audit_unmask_by_a_baseline_of_other_scales(tmp_path: Path, nhle: Nhle) -> None:
    """The head alone was masked, so the class comes back with any form of the original's head."""
    edited = unlearn(LENET, tmp_path / "edited.onnx", "--forget", "3", "--method", "cwm").edited
    for baseline in (LENET, negate_head(LENET, tmp_path / "negated.onnx")):
        flags = ("--baseline", baseline, "--forget", 3, "--data", EVALUATION, "--json")
        beside = ("--labels", LENET.with_name("labels.txt"))
        beside += ("--preprocess", LENET.with_name("preprocessor_config.json"))
        result = nhle("verify", edited, *flags, *beside)
        report = json.loads(result.out)
        assert report["unmasked"]["acc_f"] == pytest.approx(report["before"]["acc_f"], abs=0.02)
        assert result.code == 1
    audited = nhle_onnx.audit(
        edited, baseline=baseline, forget=3, data=EVALUATION,
        labels=beside[1], preprocess=beside[3], effort="fast", repeats=1,
    )  # fmt: skip
    (found,) = [each for each in audited.measures if each.name == "unmasking.original_head"]
    assert found.edited == pytest.approx(report["unmasked"]["acc_f"], abs=0.05)


# Forms whose operator multiplies its weight and bias by factors of its own.
SCALED = [name for name in FORMS if FORMS[name]().op == "Gemm" and name in FLOAT_FORMS]


def score(proto: ModelProto, layout: ClassifierHead, images: np.ndarray) -> np.ndarray:
    real, names = with_real_values(proto, layout)
    (scores,) = run_model(expose_tensors(real, names.scores), images)
    return scores.reshape(len(images), CLASSES)


def rescale(proto: ModelProto, layout: ClassifierHead, alpha: float, beta: float) -> None:
    """Compute the same with other factors, in place."""
    (gemm,) = [node for node in proto.graph.node if node.name == layout.node]
    kept = [each for each in gemm.attribute if each.name not in {"alpha", "beta"}]
    del gemm.attribute[:]
    gemm.attribute.extend(
        [*kept, helper.make_attribute("alpha", alpha), helper.make_attribute("beta", beta)]
    )
    names = {layout.weight: layout.weight_scale / alpha, layout.bias: layout.bias_scale / beta}
    for name, tensor in list_tensors(proto):
        if name in names:
            values = numpy_helper.to_array(tensor)
            scaled = (values * names[name]).astype(values.dtype)
            tensor.CopyFrom(numpy_helper.from_array(scaled, tensor.name))


@pytest.mark.parametrize("name", FORMS)
def test_restoring_a_head_gives_the_originals_scores(name: str, tmp_path: Path) -> None:
    """Whatever was masked of it: every class's row comes back, and all else is as it was."""
    form = FORMS[name]()
    original = load(form, tmp_path)
    layout = find_head(original)
    images = draw_images(form)
    expected = score(original.proto, layout, images)
    masked = ModelProto()
    masked.CopyFrom(original.proto)
    head = Head(masked, layout)
    if layout.bias is None:
        fill_rows(head, [1, 2], 0)
    else:
        fill_rows(head, [1, 2], 0, -1.0)
    assert np.abs(score(masked, layout, images) - expected).max() > 5 * form.step
    restored = Head(masked, layout).restore(Head(original.proto, layout))
    atol = 1.01 * form.step or 1e-5  # a number at a tie may go to the other side
    np.testing.assert_allclose(score(restored, layout, images), expected, atol=atol)


def make_sum() -> Form:
    """Two heads, of features and of a function of them, that are added up."""
    return Form(
        nodes=[
            node("Tanh", "x", "h"), node("Gemm", "x w b", "z", transB=1),
            node("Gemm", "h v", "u", transB=1), node("Add", "z u", "y"),
        ],
        tensors={"w": WEIGHT, "v": WEIGHT[::-1].copy(), "b": BIAS}, op="Gemm",
    )  # fmt: skip


def make_one() -> Form:
    """The same as one head of all features side by side."""
    return Form(
        nodes=[
            node("Tanh", "x", "h"), node("Concat", "x h", "f", axis=1),
            node("Gemm", "f w b", "y", transB=1),
        ],
        tensors={"w": np.hstack([WEIGHT, WEIGHT[::-1]]), "b": BIAS}, op="Gemm",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("edited", "baseline"),
    [
        (make_sum, make_one),
        (make_one, make_sum),
        (FORMS["qdq-per-class"], lambda: qdq(NUMBERS // 4, ONE_STEP, I8(5), 0)),
        (FORMS["qdq"], FORMS["qdq-per-class"]),
    ],
)
def test_a_head_takes_the_rows_of_another_form(
    edited: Callable[[], Form], baseline: Callable[[], Form], tmp_path: Path
) -> None:
    """As one that was fused, or quantized in another way, since the class was forgotten."""
    form, images = edited(), draw_images(edited())
    ours, theirs = (load(each(), tmp_path) for each in (edited, baseline))
    original = Head(theirs.proto, find_head(theirs))
    expected = run_model(theirs.proto, images, fuses=False)[0]
    mask_head(
        ours.proto, find_head(ours), ForgetRequest(forget=(1,), num_classes=CLASSES),
        UnlearnOptions(),
    )  # fmt: skip
    assert np.abs(run_model(ours.proto, images)[0] - expected).max() > 1
    restored = Head(ours.proto, find_head(ours)).restore(original)
    found = run_model(restored, images, fuses=False)[0]
    np.testing.assert_allclose(found, expected, atol=1.5 * form.step or 1e-5)


factors = st.sampled_from([-4.0, -1.0, -0.5, 0.25, 1.0, 3.0])


@given(
    name=st.sampled_from(SCALED),
    ours=st.tuples(factors, factors),
    theirs=st.tuples(factors, factors),
)
def test_the_scales_of_either_graph_do_not_matter(
    name: str, ours: tuple[float, float], theirs: tuple[float, float]
) -> None:
    form = FORMS[name]()
    with TemporaryDirectory() as folder:
        loaded = load(form, Path(folder))
        layout = find_head(loaded)
        expected = score(loaded.proto, layout, draw_images(form))
        if layout.bias is None:
            ours, theirs = (ours[0], 1.0), (theirs[0], 1.0)
        graphs = []
        for scales in (ours, theirs):
            proto = ModelProto()
            proto.CopyFrom(loaded.proto)
            has_beta = layout.bias_scale != 1.0 or any(
                layout.bias in node.input for node in proto.graph.node if node.name == layout.node
            )
            rescale(proto, layout, scales[0], scales[1] if has_beta else 1.0)
            model = load(proto, Path(folder))
            graphs.append(Head(model.proto, find_head(model)))
    edited, baseline = graphs
    np.testing.assert_allclose(edited.rows.weight, baseline.rows.weight, rtol=1e-5)
    np.testing.assert_allclose(
        score(edited.proto, edited.layout, draw_images(form)), expected, atol=1e-5
    )
    fill_rows(edited, [1], 0.0)
    restored = edited.restore(baseline)
    np.testing.assert_allclose(
        score(restored, edited.layout, draw_images(form)), expected, atol=1e-5
    )


def test_one_file_and_one_row_add_a_form_of_head(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A toy: features times a weight, written as an Einsum."""
    form = Form(
        nodes=[node("Einsum", "x w", "y", equation="nd,kd->nk")], tensors={"w": WEIGHT},
        op="Einsum", bias=np.zeros_like(BIAS),
    )  # fmt: skip

    def read_einsum(einsum: gs.Node, added_bias: Stored | None) -> Layer | str:
        weight = resolve(einsum.inputs[1])
        assert weight is not None
        return Layer(features=einsum.inputs[0], weight=weight, bias=added_bias, class_axis=0)

    monkeypatch.delitem(registry.PATTERNS, "Einsum")
    with pytest.raises(UnsupportedModelError, match="Einsum"):
        find_head(load(form, tmp_path))
    monkeypatch.setitem(registry.PATTERNS, "Einsum", read_einsum)
    model = load(form, tmp_path)
    head = Head(model.proto, find_head(model))
    np.testing.assert_allclose(head.rows.weight, WEIGHT)


def test_one_row_allows_something_behind_a_head(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    form = follow(node("Softplus", "z", "y"))
    monkeypatch.delitem(tail.TAIL, "Softplus")
    with pytest.raises(UnsupportedModelError, match="Softplus"):
        find_head(load(form, tmp_path))
    monkeypatch.setitem(tail.TAIL, "Softplus", lambda _node, trail: trail)
    assert find_head(load(form, tmp_path)).node == "/z"
