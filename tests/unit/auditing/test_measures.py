"""Every measure of the audit, against scikit-learn, SciPy, ONNX Runtime or a plain loop."""

from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import helper, numpy_helper
from scipy import special, stats
from scipy.spatial.distance import jensenshannon
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, pairwise_distances, roc_curve
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from nhle_onnx.auditing.attacks.divergence import measure_divergence, measure_zrf, to_probabilities
from nhle_onnx.auditing.attacks.membership import (
    ATTACKS,
    measure_balanced_accuracy,
    measure_leak,
    measure_true_alarms,
    read_confidence,
)
from nhle_onnx.auditing.attacks.probe import probe_hits
from nhle_onnx.auditing.attacks.quantization import round_channels, round_weights
from nhle_onnx.auditing.attacks.relearning import count_steps, reset_rows
from nhle_onnx.auditing.attacks.separability import measure_separability
from nhle_onnx.auditing.attacks.traces import guess_forgotten, measure_outliers
from nhle_onnx.auditing.attacks.unmasking import rebuild_rows
from nhle_onnx.auditing.context import split_halves
from nhle_onnx.auditing.measures import make_measure
from nhle_onnx.auditing.placement import place
from nhle_onnx.auditing.projection import _project
from nhle_onnx.auditing.regression import fit_regression
from nhle_onnx.auditing.untrained import reset_weights
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import Head, HeadRows
from nhle_onnx.graph.load import load_model
from support.graphs import make_model, make_node, run_model
from support.shipped import LENET

Samples = tuple[np.ndarray, np.ndarray]


def draw_classes(gap: float, *, count: int = 4, each: int = 60, features: int = 8) -> Samples:
    """Features [N, D] of normal classes, centres `gap` apart on average, and classes [N]."""
    rng = np.random.default_rng(0)
    centres = rng.normal(0, gap, (count, features)) / np.sqrt(2 * features)
    classes = np.tile(np.arange(count), each)
    spreads = rng.uniform(0.1, 10, features)
    return (centres[classes] + rng.normal(size=(len(classes), features))) * spreads, classes


def make_peer(penalty: float, weights: str | None = None) -> Pipeline:
    judge = LogisticRegression(C=penalty, class_weight=weights, tol=1e-9, max_iter=10_000)
    return make_pipeline(StandardScaler(), judge)


@pytest.mark.parametrize("weights", [None, "balanced"])
@pytest.mark.parametrize("penalty", [0.1, 1.0])
def test_regression_is_that_of_scikit_learn(penalty: float, weights: str | None) -> None:
    features, classes = draw_classes(3.0)
    features, classes = features[30:], np.sort(classes)[30:]  # the first class has fewer
    fitted = fit_regression(
        features, classes, 4, inverse_penalty=penalty, balances=weights is not None
    )
    peer = make_peer(penalty, weights).fit(features, classes)
    coefficients = peer[-1].coef_  # a shift that all rows share changes no answer
    np.testing.assert_allclose(
        fitted.weight - fitted.weight.mean(0), coefficients - coefficients.mean(0), atol=1e-4
    )
    np.testing.assert_allclose(
        special.softmax(fitted.score(features), axis=1), peer.predict_proba(features), atol=1e-4
    )


def test_regression_on_two_classes_penalises_both_rows() -> None:
    """Each of two opposite rows is half as long as scikit-learn's only one."""
    features, classes = draw_classes(2.0, count=2)
    fitted = fit_regression(features, classes, 2, inverse_penalty=0.5)
    peer = make_peer(1.0).fit(features, classes)
    np.testing.assert_allclose(
        special.softmax(fitted.score(features), axis=1), peer.predict_proba(features), atol=1e-4
    )


def test_a_feature_that_never_varies_teaches_a_regression_nothing() -> None:
    features, classes = draw_classes(3.0)
    features[:, 2] = 7.0
    fitted = fit_regression(features, classes, 4)
    assert np.isfinite(fitted.score(features)).all()
    assert not fitted.weight[:, 2].any()


def test_probe_recalls_what_a_pipeline_of_scikit_learn_recalls() -> None:
    features, classes = draw_classes(2.0, count=6)
    classes = classes + (classes > 2)  # no sample of class 3 at all
    is_attack = split_halves(classes, 0)
    hits = probe_hits(features, classes, is_attack, (2, 5))
    judged = ~is_attack & np.isin(classes, (2, 5))
    peer = make_peer(0.1).fit(features[is_attack], classes[is_attack])
    np.testing.assert_array_equal(hits, peer.predict(features[judged]) == classes[judged])
    assert 0.2 < hits.mean() < 0.95  # or the two would agree on anything


scores_and_kinds = st.integers(0, 2**32 - 1).map(np.random.default_rng).map(
    lambda rng: (
        np.round(rng.normal(size=400), rng.integers(1, 4)),  # some scores are the same
        rng.permutation(400) < rng.integers(1, 399),
    )
)  # fmt: skip


@given(scores_and_kinds)
def test_membership_figures_are_those_of_scikit_learn(samples: Samples) -> None:
    scores, is_member = samples
    false_alarms, true_alarms, _ = roc_curve(is_member, scores, drop_intermediate=False)
    expected = true_alarms[false_alarms <= 0.01 + 1e-12].max()
    assert measure_true_alarms(scores, is_member) == pytest.approx(expected)
    assert measure_balanced_accuracy(scores, is_member) == pytest.approx(
        balanced_accuracy_score(is_member, scores > 0)
    )


@pytest.mark.parametrize(("leak", "low", "high"), [(0.0, 0.4, 0.6), (20.0, 0.99, 1.0)])
def test_members_are_told_apart_as_far_as_they_leak(leak: float, low: float, high: float) -> None:
    rng = np.random.default_rng(0)
    is_member = np.arange(500) < 200
    clues = rng.normal(size=(500, 3))
    clues[:, 1] += leak * is_member
    found = measure_leak(clues, is_member, seed=0)
    assert low <= found.balanced_accuracy <= high
    assert found.true_alarms > 0.99 if leak else found.true_alarms < 0.06
    for value, (lowest, highest) in (
        (found.balanced_accuracy, found.balanced_accuracy_interval),
        (found.true_alarms, found.true_alarms_interval),
    ):
        assert 0 <= lowest <= value <= highest <= 1
        assert highest - lowest < 0.15


def test_confidence_is_loss_entropy_and_highest_probability() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    clues = read_confidence(probabilities, np.array([0, 1, 2]))
    np.testing.assert_allclose(clues[:, 0], -np.log([0.7, 1.0, 1 / 3]))
    np.testing.assert_allclose(clues[:, 1], stats.entropy(probabilities, axis=1), atol=1e-9)
    np.testing.assert_allclose(clues[:, 2], [0.7, 1.0, 1 / 3])


@pytest.mark.parametrize(("name", "finds"), [("confidence", False), ("neighbours", True)])
def test_where_forgotten_samples_go_tells_members(name: str, *, finds: bool) -> None:
    """Members go to class 1, others to class 2, all as surely: confidence knows nothing of it."""
    is_member = np.arange(200) % 2 == 0
    logits = np.random.default_rng(0).normal(size=(200, 5))
    logits[np.arange(200), np.where(is_member, 1, 2)] += 8
    clues = ATTACKS[name](to_probabilities(logits), np.zeros(200, np.int64))
    found = measure_leak(clues, is_member, seed=0)
    assert (found.balanced_accuracy > 0.95) == finds


def to_shares(rows: np.ndarray) -> np.ndarray:
    filled = rows + ~rows.any(1, keepdims=True)
    shares: np.ndarray = filled / filled.sum(1, keepdims=True)
    return shares


rows_with_zeros = hnp.arrays(
    np.float64, (3, 4), elements=st.just(0.0) | st.floats(0, 1, allow_subnormal=False)
).map(to_shares)


@given(rows_with_zeros, rows_with_zeros)
def test_divergence_is_that_of_scipy(first: np.ndarray, second: np.ndarray) -> None:
    found = measure_divergence(first, second)
    expected = np.nan_to_num(jensenshannon(first, second, 2, axis=1)) ** 2  # the root of -1e-17
    np.testing.assert_allclose(found, expected, atol=1e-9)
    np.testing.assert_allclose(found, measure_divergence(second, first), atol=1e-12)
    assert (found >= 0).all()
    assert (found <= 1 + 1e-12).all()


def test_divergence_of_a_probability_whose_half_is_no_number_any_more() -> None:
    """Scores some 745 apart give such; the report's JSON could not hold what came of it."""
    first, second = to_probabilities(np.array([[745.0, 0.0], [746.0, 0.0]]))[:, None]
    assert 0 < first[0, 1] < 1e-323
    assert measure_divergence(first, second) == pytest.approx(0)


def test_zrf_says_how_alike_two_models_answer() -> None:
    rng = np.random.default_rng(0)
    first, second = (to_probabilities(rng.normal(size=(50, 10))) for _ in range(2))
    expected = 1 - np.mean(
        [jensenshannon(one, other, 2) ** 2 for one, other in zip(first, second, strict=True)]
    )
    assert measure_zrf(first, second) == pytest.approx(expected)
    assert measure_zrf(first, first) == 1


def test_probabilities_are_a_softmax_even_of_a_masked_class() -> None:
    logits = np.float32([[3, -1, np.finfo(np.float32).min], [900, -900, 899]])
    np.testing.assert_allclose(to_probabilities(logits), special.softmax(logits, axis=1), rtol=1e-6)


def test_separability_is_measured_between_centroids() -> None:
    features, classes = draw_classes(4.0, count=5)
    centroids = NearestCentroid().fit(features, classes).centroids_
    inter = pairwise_distances(centroids[[1, 4]], centroids[[0, 2, 3]]).mean()
    intra = np.mean(
        [pairwise_distances(features[classes == i], centroids[[i]]).mean() for i in (1, 4)]
    )
    found = measure_separability(features, classes, (1, 4))
    assert found == pytest.approx((inter, intra, inter / intra))


weights_of_channels = st.sampled_from([np.float32, np.float16]).flatmap(
    lambda kind: hnp.arrays(
        kind,
        (3, 300),
        elements=st.floats(-1000, 1000, width=np.finfo(kind).bits),
        fill=st.just(kind(0)),
    )
)


@given(weights_of_channels, st.sampled_from([8, 4]))
def test_rounded_weights_are_near(weight: np.ndarray, bits: int) -> None:
    rounded = round_channels(weight, 0, bits)
    assert rounded.dtype == weight.dtype
    np.testing.assert_allclose(round_channels(rounded, 0, bits), rounded, rtol=2e-3, atol=1e-7)
    for before, after in zip(weight, rounded, strict=True):
        largest = np.abs(before).max()
        half_step = float(largest) / (2**bits - 2)
        errors = np.abs(before.astype(np.float64) - after.astype(np.float64))
        assert errors.max() <= half_step * (1 + 1e-6) + np.spacing(largest)
        assert not after[before == 0].any()


@pytest.mark.parametrize("kind", [np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("size", [1.0, 1e-4])
@pytest.mark.parametrize("bits", [8, 4])
def test_weights_rounded_in_any_format_have_no_more_levels(
    kind: type, size: float, bits: int
) -> None:
    weight = (np.linspace(-1, 1, 3001) * size).astype(kind)[None]
    rounded = round_channels(weight, 0, bits)
    assert 2 ** (bits - 1) < len(np.unique(rounded.astype(np.float64))) <= 2**bits - 1


def quantize(weight: np.ndarray, axis: int) -> np.ndarray:
    """To int8 and back by ONNX Runtime, one scale for each index of `axis`."""
    others = tuple(index for index in range(weight.ndim) if index != axis)
    scale = (np.abs(weight).max(others) / 127).astype(np.float32)
    nodes = [
        helper.make_node("QuantizeLinear", ["w", "scale", "zero"], ["q"], axis=axis),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["out"], axis=axis),
    ]
    tensors = {"scale": scale, "zero": np.zeros(len(scale), np.int8)}
    (result,) = run_model(make_model(nodes, {"w": weight}, {"out": weight}, tensors), weight)
    return result


@pytest.mark.parametrize("axis", [0, 1])
def test_rounding_to_8_bits_is_what_onnxruntime_does(axis: int) -> None:
    weight = np.random.default_rng(0).normal(size=(12, 7, 3, 3)).astype(np.float32)
    np.testing.assert_allclose(round_channels(weight, axis, 8), quantize(weight, axis), rtol=1e-5)


RNG = np.random.default_rng(0)
ROWS, BIAS = RNG.normal(size=(5, 12)).astype(np.float32), RNG.normal(size=5).astype(np.float32)
COLUMNS, KERNEL = np.ascontiguousarray(ROWS.T), ROWS[:, :, None, None]
HEADS: dict[str, tuple[np.ndarray, bool, Callable[[list[str]], list[onnx.NodeProto]]]] = {
    "gemm": (COLUMNS, True, lambda wb: [helper.make_node("Gemm", ["h", *wb], ["z"])]),
    "gemm-transposed": (
        ROWS,
        True,
        lambda wb: [helper.make_node("Gemm", ["h", *wb], ["z"], transB=1)],
    ),
    "gemm-scaled": (
        ROWS,
        True,
        lambda wb: [helper.make_node("Gemm", ["h", *wb], ["z"], transB=1, alpha=0.5, beta=-2.0)],
    ),
    "gemm-without-bias": (COLUMNS, False, lambda wb: [helper.make_node("Gemm", ["h", *wb], ["z"])]),
    "matmul": (COLUMNS, False, lambda wb: [helper.make_node("MatMul", ["h", *wb], ["z"])]),
    "matmul-add": (
        COLUMNS,
        True,
        lambda wb: [
            helper.make_node("MatMul", ["h", wb[0]], ["m"], name="m"),
            helper.make_node("Add", ["m", wb[1]], ["z"]),
        ],
    ),
    "conv": (KERNEL, True, lambda wb: [helper.make_node("Conv", ["x", *wb], ["z"])]),
    "conv-without-bias": (KERNEL, False, lambda wb: [helper.make_node("Conv", ["x", *wb], ["z"])]),
}


def make_classifier(name: str) -> onnx.ModelProto:
    """Features are an image's means over places [N, 12]; scores [N, 5] are named z."""
    weight, has_bias, make_nodes = HEADS[name]
    tensors = {"w": weight, "b": BIAS} if has_bias else {"w": weight}
    nodes = make_nodes(list(tensors))
    pool = helper.make_node("GlobalAveragePool", ["z" if "conv" in name else "x"], ["p"])
    flatten = helper.make_node("Flatten", ["p"], ["y" if "conv" in name else "h"])
    nodes = [*nodes, pool, flatten] if "conv" in name else [pool, flatten, *nodes]
    output = "y" if "conv" in name else "z"
    return make_model(nodes, {"x": ["N", 12, 2, 2]}, {output: ["N", 5]}, tensors)


@pytest.mark.parametrize("name", HEADS)
def test_rows_of_any_head_are_what_it_computes(name: str, tmp_path: Path) -> None:
    proto = make_classifier(name)
    onnx.save(proto, tmp_path / "model.onnx")
    head = find_head(load_model(tmp_path / "model.onnx"))
    rng = np.random.default_rng(1)
    images = rng.normal(size=(9, 12, 2, 2)).astype(np.float32)
    features, scores = images.mean((2, 3)), run_model(proto, images)[0]
    rows = Head(proto, head).rows
    np.testing.assert_allclose(features @ rows.weight.T + rows.bias, scores, atol=1e-5)
    (again,) = run_model(Head(proto, head).with_rows(rows), images)
    np.testing.assert_allclose(again, scores, atol=1e-6)
    other = HeadRows(rng.normal(size=(5, 12)), rng.normal(size=5))
    (changed,) = run_model(Head(proto, head).with_rows(other), images)
    np.testing.assert_allclose(changed, features @ other.weight.T + other.bias, atol=1e-5)
    np.testing.assert_array_equal(run_model(proto, images)[0], scores)  # a copy was changed


@pytest.mark.parametrize("name", ["gemm", "gemm-transposed", "matmul-add", "conv"])
def test_weights_are_rounded_one_scale_a_class(name: str) -> None:
    proto = make_classifier(name)
    rounded = {t.name: numpy_helper.to_array(t) for t in round_weights(proto, 8).graph.initializer}
    weight = HEADS[name][0]
    expected = quantize(weight, axis=weight.shape.index(5))
    np.testing.assert_allclose(rounded["w"], expected, rtol=1e-5)
    np.testing.assert_array_equal(rounded["b"], BIAS)


def test_outliers_stand_apart_from_the_others() -> None:
    values = np.random.default_rng(0).normal(size=10)
    for index, found in enumerate(measure_outliers(values)):
        others = [value for rank, value in enumerate(values) if rank != index]
        spread = stats.median_abs_deviation(others, scale="normal")
        assert found == pytest.approx(abs(values[index] - np.median(others)) / spread, rel=1e-4)
    assert not measure_outliers(np.full(6, 2.5)).any()
    alone = measure_outliers(np.array([1.0, 1.0, 1.0, 1.0, 3.0]))
    assert alone[4] >= 1e6
    assert not alone[:4].any()
    assert np.isfinite(measure_outliers(np.array([0.1, 0.2, 0.3, -np.inf]))).all()


@pytest.mark.parametrize("bias", [0.0, np.finfo(np.float32).min, -np.inf])
def test_a_masked_class_can_be_guessed(bias: float) -> None:
    rng = np.random.default_rng(0)
    rows = HeadRows(rng.normal(size=(10, 84)), rng.normal(size=10))
    rows.weight[[2, 7]] = 0
    rows.bias[[2, 7]] = bias
    assert guess_forgotten(rows, 2) == (2, 7)


def learn_rows(features: np.ndarray, classes: np.ndarray) -> HeadRows:
    judge = LogisticRegression(max_iter=10_000).fit(features, classes)
    return HeadRows(judge.coef_.copy(), judge.intercept_.copy())


def answer(rows: HeadRows, features: np.ndarray) -> np.ndarray:
    chosen: np.ndarray = (features @ rows.weight.T + rows.bias).argmax(1)
    return chosen


@pytest.mark.parametrize("forgotten", [(1,), (0, 3)])
def test_a_rebuilt_row_knows_a_class_that_the_features_hold(forgotten: tuple[int, ...]) -> None:
    features, classes = draw_classes(12.0, count=5)
    features = StandardScaler().fit_transform(features)
    rows = learn_rows(features, classes)
    masked = reset_rows(rows, forgotten)
    masked.bias[list(forgotten)] = -1e30
    is_forgotten = np.isin(classes, forgotten)
    assert not np.isin(answer(masked, features), forgotten).any()
    rebuilt = rebuild_rows(masked, features[:100], classes[:100], forgotten)
    hits = answer(rebuilt, features[100:]) == classes[100:]
    assert hits[is_forgotten[100:]].mean() > 0.9
    assert hits[~is_forgotten[100:]].mean() > 0.8


@pytest.mark.parametrize("gap", [0.0, 1.0, 3.0])
def test_a_rebuilt_row_takes_few_of_the_others(gap: float) -> None:
    """On features that hold nothing of the class as well, where a row could only take all."""
    features, classes = draw_classes(gap, count=5)
    rebuilt = rebuild_rows(learn_rows(features, classes), features, classes, (1,))
    taken = answer(rebuilt, features[classes != 1]) == 1
    assert 0 < taken.mean() <= 0.05


def test_a_reset_row_neither_helps_nor_hinders() -> None:
    rows = HeadRows(np.arange(1.0, 13).reshape(4, 3), np.array([1.0, -1e38, 3.0, 8.0]))
    reset = reset_rows(rows, (1,))
    np.testing.assert_array_equal(reset.weight[1], 0)
    assert reset.bias[1] == 4.0
    np.testing.assert_array_equal(reset.weight[[0, 2, 3]], rows.weight[[0, 2, 3]])
    np.testing.assert_array_equal(reset.bias[[0, 2, 3]], [1, 3, 8])
    assert rows.bias[1] == -1e38


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ((0.9, 0.9, 0.5), 0.0),
        ((0.9, 0.5, 0.5), 1.0),
        ((0.9, 0.7, 0.5), 0.5),
        ((0.5, 0.9, 0.6), 4.0),
        ((0.9, 1.0, 0.5), -0.25),
        ((0.9, 0.5, 0.89), None),
        ((0.9, 0.5, None), None),
        ((None, 0.5, 0.9), None),
    ],
)
def test_a_position_is_between_the_original_and_the_retrained(
    figures: tuple[float | None, float | None, float | None], expected: float | None
) -> None:
    found = place(*figures)
    assert found == (expected if expected is None else pytest.approx(expected))
    assert not str(found).startswith("-0.0")  # as a reader would see it


def test_a_position_needs_more_between_steps_than_between_shares() -> None:
    assert place(3.0, 5.0, 5.0, resolution=2.0) is None
    assert place(3.0, 6.0, 6.0, resolution=2.0) == 1


@pytest.mark.parametrize(
    ("images", "is_placed"), [(100, False), (200, False), (2000, True), (1, False)]
)
def test_a_position_needs_images_that_tell_original_and_retrained_apart(
    images: int, *, is_placed: bool
) -> None:
    found = make_measure(
        "probe", "recall", "recall",
        {"original": 0.90, "edited": 0.87, "reference": 0.86}, images=images,
    )  # fmt: skip
    oracle = proportions_are_apart(0.90, 0.86, images)
    assert (found.position is not None) == oracle == is_placed


def proportions_are_apart(one: float, other: float, images: int) -> bool:
    """Whether two shares of so many images differ, by SciPy's normal distribution."""
    deviation = ((one * (1 - one) + other * (1 - other)) / images) ** 0.5
    return bool(2 * stats.norm.sf(abs(one - other) / deviation) < 0.05)


@pytest.mark.parametrize(("curve", "steps"), [((0.95,), 0), ((0, 0.5, 0.9, 0.2), 2), ((0, 0), 41)])
def test_steps_of_relearning_are_counted_to_the_goal(curve: tuple[float, ...], steps: int) -> None:
    assert count_steps(curve, 0.9) == steps


@given(hnp.arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 5)), st.integers(0, 9))
def test_the_attacker_gets_half_of_every_class(classes: np.ndarray, seed: int) -> None:
    is_attack = split_halves(classes, seed)
    attack, judge = (np.bincount(classes[half], minlength=6) for half in (is_attack, ~is_attack))
    assert set(attack - judge) <= {0, 1}
    np.testing.assert_array_equal(split_halves(classes, seed), is_attack)


def test_another_seed_gives_other_halves() -> None:
    classes = np.arange(100) % 5
    assert (split_halves(classes, 0) != split_halves(classes, 1)).any()


def test_features_are_drawn_by_their_principal_components() -> None:
    features, _ = draw_classes(3.0)
    found, expected = _project(features), PCA(2).fit_transform(features)
    signs = np.sign((found * expected).sum(0))
    np.testing.assert_allclose(found, expected * signs, atol=1e-8)
    np.testing.assert_allclose(_project(features + 5.0), found, atol=1e-8)
    flat = _project(features[:, :1])
    assert flat.shape == (240, 2)
    assert not flat[:, 1].any()


def test_rounded_lenet_keeps_biases() -> None:
    before, after = (
        {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        for model in (onnx.load(LENET), round_weights(onnx.load(LENET), 4))
    )
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {name for name in before if name.endswith("weight")}
    for name in changed:
        assert all(len(np.unique(row)) <= 15 for row in after[name])


@pytest.mark.parametrize(
    ("operator", "shape", "attributes"),
    [
        ("MatMul", (300, 50), {}),
        ("Gemm", (300, 50), {}),
        ("Gemm", (50, 300), {"transB": 1}),
        ("Conv", (50, 300, 1), {}),
        ("ConvTranspose", (300, 50, 1), {}),
    ],
)
def test_an_untrained_layer_keeps_the_size_of_its_input(
    tmp_path: Path, operator: str, shape: tuple[int, ...], attributes: dict[str, int]
) -> None:
    """He et al.'s initialisation: variance 2 / fan-in, however the weight is laid out."""
    path = tmp_path / "model.onnx"
    weights = {"hidden": np.ones(shape, np.float32), "head": np.ones((10, 50), np.float32)}
    nodes = [
        make_node(operator, "x hidden", "h", **attributes),
        make_node("Flatten", "h", "f"),
        make_node("Gemm", "f head", transB=1),
    ]
    inputs = {"x": ["batch", 300, 1][: len(shape)]}
    onnx.save(make_model(nodes, inputs, {"y": ["batch", 10]}, weights), path)
    model = load_model(path)
    untrained = reset_weights(model.proto, find_head(model), seed=0)
    spread = np.std(numpy_helper.to_array(untrained.graph.initializer[0]))
    assert spread == pytest.approx(np.sqrt(2 / 300), rel=0.05)
