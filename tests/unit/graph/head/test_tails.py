"""Every form of head and tail: by ONNX Runtime, a masked class never wins, and the others keep
their order.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.feature_tensors import average_features
from nhle_onnx.graph.head.find import find_head, list_other_heads
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.subgraph import expose_tensors, with_output
from nhle_onnx.hints import word
from nhle_onnx.values.model import OnnxModel
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.workflows.masking import mask_head
from support.graphs import Array, run_model
from support.tail_forms import CLASSES, TAILS, Tail, load, n

LEAKY = frozenset({"leaky relu", "parametric relu"})


def score(proto: ModelProto, tail: Tail) -> Array:
    """The scores [N, K]: of the output, or of what it is chosen from."""
    name = tail.graph_output or "y"
    scores = run_model(expose_tensors(with_output(proto, name), name), tail.draw())[0]
    return scores.reshape(len(scores), -1).astype(np.float64)


def mask(
    model: OnnxModel,
    forget: tuple[int, ...],
    classes: int,
    options: UnlearnOptions = UnlearnOptions(method="cwm"),
) -> ModelProto:
    edited = ModelProto()
    edited.CopyFrom(model.proto)
    request = ForgetRequest(forget=forget, num_classes=classes)
    mask_head(edited, find_head(model), request, options)
    onnx.checker.check_model(edited, full_check=True)
    return edited


def rank(scores: Array) -> Array:
    """For each pair of classes of each image, which is higher; -1 where rounding may decide."""
    gaps = scores[:, :, None] - scores[:, None, :]
    is_near = np.abs(gaps) <= 1e-6 * np.abs(scores).max(1)[:, None, None].clip(1e-30)
    return np.where(is_near, -1, gaps > 0)


@pytest.mark.parametrize("name", TAILS)
def test_a_masked_class_never_wins(name: str, tmp_path: Path) -> None:
    tail = TAILS[name]()
    model = load(tail.build(), tmp_path)
    head = find_head(model)
    assert (head.num_classes, head.output) == (tail.classes, tail.graph_output or "y")
    assert list_other_heads(model, head) == ()
    before = score(model.proto, tail)
    assert len(set(before.argmax(1)) & {*tail.forgettable}) >= 3
    for index in tail.forgettable:
        edited = mask(model, (index,), tail.classes)
        after = score(edited, tail)
        kept = [each for each in range(tail.classes) if each != index]
        assert not (after.argmax(1) == index).any()
        is_low = after[:, index] < after[:, kept].max(1)
        assert tail.loses_ties or is_low.all()
        was, now = rank(before[:, kept]), rank(after[:, kept])
        assert not tail.keeps_order or ((was == now) | (was < 0) | (now < 0)).all()
    several = tail.forgettable[-1], tail.forgettable[1]
    after = score(mask(model, several, tail.classes), tail)
    assert not np.isin(after.argmax(1), several).any()


@pytest.mark.parametrize("name", [name for name, tail in TAILS.items() if tail().loses_ties])
def test_the_first_class_could_win_a_tie(name: str, tmp_path: Path) -> None:
    tail = TAILS[name]()
    with pytest.raises(UnsupportedModelError, match="class 0 wins whenever all scores are"):
        mask(load(tail.build(), tmp_path), (0,), tail.classes)


@pytest.mark.parametrize("name", TAILS)
def test_rows_are_what_the_scores_are_computed_with(name: str, tmp_path: Path) -> None:
    """Up to what bends them; and the rows of the original put back are the original."""
    tail = TAILS[name]()
    model = load(tail.build(), tmp_path)
    layout = find_head(model)
    head = Head(model.proto, layout)
    if not (layout.is_clamped or layout.is_capped) and "softmaxes" not in name:
        names = (layout.scores, *dict.fromkeys(part.features for part in layout.all_parts))
        found = run_model(expose_tensors(model.proto, *names), tail.draw())
        features = dict(zip(names[1:], found[1:], strict=True))
        wide = np.hstack(
            [average_features(features[part.features], part) for part in layout.all_parts]
        )
        expected = wide @ head.rows.weight.T + head.rows.bias
        scores = found[0].reshape(expected.shape)
        shown = [index for index in range(tail.classes) if index in (tail.kept or range(99))]
        if name not in LEAKY:
            step = 0.01 if name == "a cast before the bias" else 1e-4
            limit = step * (1 + np.abs(expected[:, shown]).max())
            assert np.abs(scores[:, shown] - expected[:, shown]).max() < limit
        same = head.with_rows(head.rows)
        if name not in LEAKY:
            np.testing.assert_allclose(
                score(same, tail), score(model.proto, tail), rtol=1e-3, atol=1e-3
            )
    index = tail.forgettable[-1]
    edited = load(mask(model, (index,), tail.classes), tmp_path)
    restored = Head(edited.proto, find_head(edited, output=layout.output)).restore(head)
    np.testing.assert_allclose(
        score(restored, tail), score(model.proto, tail), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    "nodes",
    [
        (n("Mul", "u lengths", "g"), n("Gemm", "x g b", "y", transB=1)),
        (n("Gemm", "x u b", "z", transB=1), n("Mul", "z gain", "y")),
    ],
)
def test_a_row_of_a_length_of_its_own_has_no_shadow(
    nodes: tuple[onnx.NodeProto, ...], tmp_path: Path
) -> None:
    """As PyTorch's weight_norm gives it: a row of another length can only have the lowest bias."""
    tail = Tail(nodes=(n("ReduceL2", "w a1", "l"), n("Div", "w l", "u"), *nodes))
    model = load(tail.build(), tmp_path)
    with pytest.raises(UnsupportedModelError, match="class 1 cannot have the row of class") as told:
        mask(model, (1,), CLASSES)
    assert "--mask floor" in word(told.value.remedy, "flags")
    edited = mask(model, (1,), CLASSES, UnlearnOptions(method="cwm", mask="floor"))
    assert not (score(edited, tail).argmax(1) == 1).any()


def test_importance_is_of_a_single_layer(tmp_path: Path) -> None:
    model = load(TAILS["mean of two heads"]().build(), tmp_path)
    with pytest.raises(UnsupportedModelError, match="the importance mask is for a single layer"):
        mask(model, (1,), CLASSES, UnlearnOptions(method="cwm", mask="importance"))


def test_constants_beyond_any_list_of_classes_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nhle_onnx.graph.head.constants._LARGEST", CLASSES - 1)
    with pytest.raises(UnsupportedModelError, match="y comes from Mul /y"):
        find_head(load(TAILS["a factor for each class"]().build(), tmp_path))


@pytest.mark.parametrize("name", ["temperature", "an offset", "mean of two heads"])
def test_a_probability_of_its_own_is_that_of_a_modest_score(name: str, tmp_path: Path) -> None:
    """-30 before the sigmoid, whatever lies between it and the rows."""
    tail = TAILS[name]()
    *nodes, last = tail.nodes
    inner = onnx.NodeProto()
    inner.CopyFrom(last)
    inner.output[0] = "inner"
    alone = replace(tail, nodes=(*nodes, inner, n("Sigmoid", "inner", "y")))
    edited = mask(load(alone.build(), tmp_path), (1,), tail.classes)
    (scores,) = run_model(expose_tensors(edited, "inner"), tail.draw())
    np.testing.assert_allclose(scores[:, 1], -30, rtol=1e-5)


def test_what_an_output_is_chosen_from_can_be_named(tmp_path: Path) -> None:
    """An inner tensor by its name; the output is kept as it is."""
    model = load(TAILS["argmax of softmax"]().build(), tmp_path)
    assert find_head(model, output="z").output == "z"
    assert find_head(model, output="p").scores == "z"
    edited = mask(model, (2,), 5)
    assert edited.graph.output == model.proto.graph.output
    assert not (run_model(edited, TAILS["argmax of softmax"]().draw())[0] == 2).any()
