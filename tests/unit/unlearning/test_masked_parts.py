"""A masked class follows another one, by the definition of scores, for any features."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from onnx import ModelProto, numpy_helper

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.head import Head
from nhle_onnx.unlearning.shadow import mask_parts
from nhle_onnx.values.model import ClassifierHead
from nhle_onnx.values.request import ForgetRequest, Mask
from support.graphs import make_model, make_node

Array = npt.NDArray[np.floating]
K, D = 4, 6
REQUEST = ForgetRequest(forget=(2,), num_classes=K)
SINGLE = ClassifierHead(
    op="Gemm", node="one", weight="one.w", bias="one.b", bias_scale=0.5, class_axis=0,
    num_classes=K, feature_dim=D, features="one.h", logits="one.z", scores="y",
    is_clamped=False, output="y", rows=(2, 0, 3, 1), scales=(2.0, -1.0, 2.0, 0.5),
    offsets=(1.0, 0.0, -1.0, 3.0), row_scales=(1.0, 2.0, 4.0, 0.5),
)  # fmt: skip
OTHER = replace(
    SINGLE, node="two", weight="two.w", bias="two.b", features="two.h", logits="two.z",
    class_axis=1, bias_scale=-2.0, rows=(1, -1, 0, 2), scales=(3.0,) * 4, offsets=(), row_scales=(),
)  # fmt: skip
SEVERAL = replace(SINGLE, parts=(OTHER,))


def make_head(layout: ClassifierHead, kind: type = np.float32) -> Head:
    generator = np.random.default_rng(0)
    tensors, nodes = {}, []
    for part in layout.all_parts:
        weight = generator.normal(size=(K, D)).astype(kind)
        shape = (K, D, 1, 1) if part.op == "Conv" else (K, D)
        stored = weight.reshape(shape) if part.class_axis == 0 else weight.T.copy()
        tensors |= {part.weight: stored, f"{part.node}.b": generator.normal(size=K).astype(kind)}
        nodes.append(make_node("Gemm", f"{part.features} {part.weight} {part.node}.b", part.logits))
    model = make_model(nodes, {part.features: None for part in layout.all_parts}, {}, tensors)
    return Head(model, layout)


def read(proto: ModelProto, name: str) -> Array:
    (tensor,) = (each for each in proto.graph.initializer if each.name == name)
    return numpy_helper.to_array(tensor).astype(np.float64)


def read_rows(head: Head, part: ClassifierHead) -> Array:
    weight = read(head.proto, part.weight)
    return weight.T if part.class_axis else weight.reshape(K, D)


def score(head: Head) -> Array:
    """Scores [N, K] of random features, by the definition of a head's layers."""
    generator = np.random.default_rng(1)
    scores = np.zeros((50, K))
    for part in head.layout.all_parts:
        rows = read_rows(head, part)
        if part.is_normalized:
            rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows * np.array(part.row_scales or (1.0,) * K)[:, None]
        bias = part.bias_scale * read(head.proto, f"{part.node}.b")
        logits = 9 * generator.normal(size=(50, D)) @ rows.T + bias
        for index, row in enumerate(part.rows):
            factor = part.scales[index] if part.scales else 1.0
            offset = part.offsets[index] if part.offsets else 0.0
            scores[:, index] += (factor * logits[:, row] if row >= 0 else 0.0) + offset
    return scores


def run_mask(
    head: Head, mask: Mask, forget: Sequence[int] = (2,), activations: Array | None = None
) -> Array:
    """Mask some classes, and return the scores; those of the others stay as they are."""
    kept = [index for index in range(K) if index not in forget]
    before = score(head)
    request = ForgetRequest(forget=tuple(forget), num_classes=K)
    mask_parts(head, request, mask, activations)
    after = score(head)
    np.testing.assert_array_equal(after[:, kept], before[:, kept])
    return after


@pytest.mark.parametrize(
    ("layout", "other", "margin"),
    [
        (SINGLE, 0, 10),
        (SEVERAL, 0, 20),
        (replace(SINGLE, class_axis=1), 0, 10),
        (replace(SINGLE, op="Conv"), 0, 10),
        (replace(SINGLE, is_normalized=True), 3, 10),
    ],
    ids=["one", "two", "columns", "convolution", "normalized"],
)
def test_a_masked_class_has_the_score_of_another_less_the_margin(
    layout: ClassifierHead, other: int, margin: float
) -> None:
    """Class 0, which alone has the same factor; of rows of given lengths class 3."""
    after = run_mask(make_head(layout), "convex")
    np.testing.assert_allclose(after[:, 2], after[:, other] - margin, atol=1e-3)


@pytest.mark.parametrize("scale", [-4.0, 0.5])
def test_rows_of_other_factors_are_stretched(scale: float) -> None:
    layout = replace(SINGLE, scales=(2.0, 2.0, scale, 2.0))
    after = run_mask(make_head(layout), "convex")
    gaps = [after[:, 2] - after[:, index] + 10 for index in (0, 1, 3)]
    assert min(abs(gap).max() for gap in gaps) < 1e-3
    half = run_mask(make_head(replace(layout, rows=(0, 1, 2, 3)), np.float16), "convex")
    expected = -32 * max(1.0, abs(scale))
    nearest = min((half[:, 2] - half[:, index] for index in (0, 1, 3)), key=np.ptp)
    np.testing.assert_allclose(nearest, expected, atol=0.6)


def test_the_class_nearest_to_the_mean_of_the_others_is_shadowed() -> None:
    layout = replace(SINGLE, rows=(), scales=(), offsets=(), row_scales=())
    head = make_head(layout)
    rows = np.repeat(np.float32([[0], [1], [9], [5]]), D, 1)
    head.write(rows, np.zeros(K, np.float32))
    mask_parts(head, REQUEST, "convex")
    assert read_rows(head, layout)[2].tolist() == [1.0] * D


def test_a_margin_is_not_lost_beside_a_large_bias() -> None:
    head = make_head(SINGLE)
    weight, bias = head.read()
    head.write(weight, bias + np.float32(1e9))
    after = run_mask(head, "convex")
    assert (after[:, 2] < after[:, 0]).all()


@pytest.mark.parametrize(("scale", "margin"), [(1e3, 10), (-1e3, 10), (1e6, 1e4), (-1e6, 1e4)])
def test_a_margin_is_not_lost_behind_a_large_factor(scale: float, margin: float) -> None:
    """In the layer's own numbers it is a hundredth at least: logits of hundreds are rounded."""
    after = run_mask(make_head(replace(SINGLE, scales=(scale,) * K, row_scales=())), "convex")
    gaps = [after[:, index] - after[:, 2] for index in (0, 1, 3)]
    np.testing.assert_allclose(min(gaps, key=np.ptp), margin, rtol=0.01)


def test_a_class_that_is_read_by_itself_gets_a_low_score() -> None:
    for layout in (SINGLE, SEVERAL):
        after = run_mask(make_head(replace(layout, is_separate=True)), "floor")
        np.testing.assert_allclose(after[:, 2], -30, atol=1e-4)


def test_a_class_that_competes_gets_the_lowest_score() -> None:
    lowest = float(np.finfo(np.float32).min)
    for layout, expected in ((SINGLE, lowest), (SEVERAL, lowest / 2 * (1 + 1))):
        for clamped in (replace(layout, is_separate=True, is_clamped=True), layout):
            after = run_mask(make_head(clamped), "floor")
            assert np.isfinite(np.float32(after)).all()
            np.testing.assert_allclose(after[:, 2], expected, rtol=1e-6)


def test_a_zeroed_class_has_its_offset_alone() -> None:
    np.testing.assert_array_equal(run_mask(make_head(SINGLE), "zero")[:, 2], -1.0)
    layout = replace(SINGLE, is_normalized=True)
    head = make_head(layout)
    run_mask(head, "zero")
    rows = read_rows(head, layout)
    assert rows[3].tolist() == rows[1].tolist()
    assert read(head.proto, "one.b")[3] == 0


def test_the_units_that_a_class_uses_most_are_cleared() -> None:
    activations = np.float32([[9, 8, 7, 1, 2, 3], [1, 2, 3, 7, 8, 9]])
    head = make_head(SINGLE)
    before = read_rows(head, SINGLE).copy()
    run_mask(head, "importance", (0, 2), activations)
    after = read_rows(head, SINGLE)
    before[2, :3] = before[3, 3:] = 0
    assert after.tolist() == before.tolist()
    with pytest.raises(ValueError, match=r"^the importance mask needs mean activations$"):
        mask_parts(make_head(SINGLE), REQUEST, "importance")


def test_a_constant_score_cannot_be_masked() -> None:
    head = make_head(replace(SINGLE, rows=(2, 0, -1, 1)))
    with pytest.raises(UnsupportedModelError) as caught:
        mask_parts(head, REQUEST, "convex")
    assert caught.value.reason == (
        "the score of class 2 is a constant of the graph: no row computes it"
    )
    assert caught.value.remedy == "Forget it where that constant is written."


def test_a_class_alone_in_its_layer_has_nothing_to_follow() -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        mask_parts(make_head(SEVERAL), ForgetRequest(forget=(1,), num_classes=K), "convex")
    assert caught.value.reason == (
        "class 1 has a layer of its own, which computes no retained class"
    )
    assert caught.value.remedy == 'Use method="nhle", which trains the features.'


@pytest.mark.parametrize("mask", ["convex", "zero", "floor"])
def test_classes_that_not_every_layer_computes_are_masked_where_they_are(mask: Mask) -> None:
    """The second layer computes no class 1 and 3; class 2 is masked in it all the same."""
    layout = replace(SINGLE, parts=(replace(OTHER, rows=(1, -1, 0, -1)),))
    for forget in ((1, 2), (2, 1)):
        head = make_head(layout)
        before = read_rows(head, layout.parts[0]).copy()
        run_mask(head, mask, forget)
        after = read_rows(head, layout.parts[0])
        assert after[1:].tolist() == before[1:].tolist()
        assert after[0].tolist() == (before[1].tolist() if mask == "convex" else [0.0] * D)
