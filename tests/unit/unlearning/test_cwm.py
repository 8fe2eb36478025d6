"""The law of the mask: a floored class never wins, for any finite features."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import helper
from onnx.reference import ReferenceEvaluator

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.hints import word
from nhle_onnx.unlearning.cwm import (
    HeadValues,
    check_maskable,
    find_first,
    find_floor,
    find_important_units,
    find_shadowed,
    lower_bias,
    mask_classes,
    resolve_mask,
)
from nhle_onnx.values.model import ClassifierHead, QuantParams
from nhle_onnx.values.request import ForgetRequest
from support.graphs import make_model

K, D = 4, 5
BOUNDED = st.floats(-(2.0**50), 2.0**50, width=32)
REQUEST = ForgetRequest(forget=(0, 2), num_classes=K)


def make_head(class_axis: int = 0, bias_scale: float = 1.0) -> ClassifierHead:
    return ClassifierHead(
        op="Gemm", node="head", weight="w", bias="b", bias_scale=bias_scale,
        class_axis=class_axis, num_classes=K, feature_dim=D, features="h", logits="z", scores="z",
        is_clamped=False, output="z",
    )  # fmt: skip


@given(
    arrays(np.float32, (3, D), elements=BOUNDED),
    arrays(np.float32, (K, D), elements=BOUNDED),
    arrays(np.float32, K, elements=BOUNDED),
    st.sampled_from([0, 1]),
    st.sampled_from([1.0, -1.0, 0.5, 3.0, -7.5]),
)
def test_the_masked_class_never_wins(
    features: np.ndarray, weight: np.ndarray, bias: np.ndarray, class_axis: int, beta: float
) -> None:
    """Through the `onnx` package's own Gemm, for either storage of the weight and any beta."""
    stored = weight if class_axis == 0 else np.ascontiguousarray(weight.T)
    values = HeadValues(weight=stored, bias=bias)
    masked = mask_classes(values, make_head(class_axis, beta), REQUEST, "floor")
    node = helper.make_node("Gemm", ["h", "w", "b"], ["z"], transB=1 - class_axis, beta=beta)
    tensors = {"w": masked.weight, "b": masked.bias}
    model = make_model([node], {"h": [3, D]}, {"z": [3, K]}, tensors)
    logits = ReferenceEvaluator(model).run(None, {"h": features})[0]
    assert np.isfinite(logits).all()
    assert not np.isin(logits.argmax(1), REQUEST.forget).any()


@given(
    arrays(np.float32, (3, D), elements=st.floats(-30, 30, width=16)),
    arrays(np.float32, (K, D), elements=st.floats(-30, 30, width=16)),
    arrays(np.float32, K, elements=st.floats(-30, 30, width=16)),
    st.sampled_from([0, 1]),
    st.sampled_from([1.0, -1.0, 0.5]),
    st.sampled_from([np.float32, np.float16]),
)
def test_the_shadow_of_a_retained_class_never_wins(
    features: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    class_axis: int,
    beta: float,
    kind: type[np.floating],
) -> None:
    """It lies below that class, by a margin, whatever the features; no tie either."""
    stored = (weight if class_axis == 0 else np.ascontiguousarray(weight.T)).astype(kind)
    values = HeadValues(weight=stored, bias=bias.astype(kind))
    head = make_head(class_axis, beta)
    masked = mask_classes(values, head, REQUEST, resolve_mask("auto", head))
    node = helper.make_node("Gemm", ["h", "w", "b"], ["z"], transB=1 - class_axis, beta=beta)
    tensors = {"w": masked.weight, "b": masked.bias}
    model = make_model([node], {"h": features.astype(kind)}, {"z": np.zeros((3, K), kind)}, tensors)
    logits = ReferenceEvaluator(model).run(None, {"h": features.astype(kind)})[0]
    assert (logits[:, [0, 2]].max(1) < logits[:, [1, 3]].max(1)).all()
    rows = masked.weight if class_axis == 0 else masked.weight.T
    for index in REQUEST.forget:  # nothing of the class is left
        assert any(np.array_equal(rows[index], rows[other]) for other in REQUEST.retained)


@pytest.mark.parametrize(
    ("change", "mask"),
    [
        ({}, "convex"),
        ({"is_separate": True}, "floor"),
        ({"is_capped": True}, "floor"),
        ({"weight_quant_params": QuantParams(scales=("s",), zero_point=None)}, "convex"),
    ],
)
def test_classes_that_compete_get_a_shadow(change: dict[str, object], mask: str) -> None:
    assert resolve_mask("auto", replace(make_head(), **change)) == mask  # type: ignore[arg-type]
    assert resolve_mask("zero", replace(make_head(), **change)) == "zero"  # type: ignore[arg-type]


@pytest.mark.parametrize("mask", ["floor", "zero"])
@pytest.mark.parametrize("class_axis", [0, 1])
def test_other_rows_keep_their_bytes(mask: str, class_axis: int) -> None:
    rng = np.random.default_rng(0)
    shape = (K, D) if class_axis == 0 else (D, K)
    values = HeadValues(
        weight=rng.normal(size=shape).astype(np.float32), bias=rng.normal(size=K).astype(np.float32)
    )
    masked = mask_classes(values, make_head(class_axis), REQUEST, mask)
    rows, before = (item.weight if class_axis == 0 else item.weight.T for item in (masked, values))
    assert not rows[[0, 2]].any()
    assert masked.bias[[0, 2]].any() == (mask == "floor")
    assert rows[[1, 3]].tobytes() == before[[1, 3]].tobytes()
    assert masked.bias[[1, 3]].tobytes() == values.bias[[1, 3]].tobytes()


def test_a_class_of_zeros_can_win() -> None:
    """Why `zero` is no default: a logit of 0 beats negative ones."""
    values = HeadValues(weight=np.full((K, D), -1, np.float32), bias=np.zeros(K, np.float32))
    masked = mask_classes(values, make_head(), REQUEST, "zero")
    assert (masked.weight @ np.ones(D) + masked.bias).argmax() in REQUEST.forget


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_floor_is_finite_in_its_format(dtype: type) -> None:
    values = HeadValues(weight=np.zeros((K, D), dtype), bias=np.zeros(K, dtype))
    floor = find_floor(values, make_head()).astype(dtype)
    assert np.isfinite(floor).all()
    assert (floor == np.finfo(dtype).min).all()


def make_convolution(**changes: object) -> ClassifierHead:
    return replace(make_head(), op="Conv", **changes)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_floor_of_a_convolution_leaves_room_to_sum(dtype: type) -> None:
    """Over 65,536 places, where the format has that much; a half has not."""
    values = HeadValues(weight=np.zeros((K, D), dtype), bias=np.zeros(K, dtype))
    floor = find_floor(values, make_convolution())
    lowest = float(np.finfo(dtype).min)
    assert floor == pytest.approx(lowest / 2**16 if dtype == np.float32 else lowest)
    assert (floor < -1e4).all()


def test_floor_of_a_quantized_bias_is_its_own() -> None:
    lowest = np.array([-5.0, -6.0, -(2.0**32), -(2.0**33)])
    values = HeadValues(
        weight=np.zeros((K, D), np.float32), bias=np.zeros(K, np.float32), lowest_bias=lowest
    )
    np.testing.assert_array_equal(find_floor(values, make_head()), lowest)
    room = find_floor(values, make_convolution())
    np.testing.assert_array_equal(room, [-5, -6, -(2.0**32), -(2.0**17)])
    masked = mask_classes(values, make_head(), REQUEST, "floor")
    np.testing.assert_array_equal(masked.bias, np.float32([-5, 0, -(2.0**32), 0]))
    assert masked.lowest_bias is lowest


@pytest.mark.parametrize(
    ("scale", "factor"), [(1.0, 1), (-1.0, -1), (0.5, 1), (-0.5, -1), (2.0, 0.5), (-4.0, -0.25)]
)
def test_floor_goes_through_the_scale_of_the_bias(scale: float, factor: float) -> None:
    """What a Gemm multiplies by beta must be the lowest number afterwards, or finite at least."""
    values = HeadValues(weight=np.zeros((K, D), np.float32), bias=np.zeros(K, np.float32))
    lowest = float(np.finfo(np.float32).min)
    np.testing.assert_allclose(find_floor(values, make_head(0, scale)), factor * lowest)


def test_behind_a_clamp_the_mask_must_lose_the_tie() -> None:
    clamped = replace(make_head(), is_clamped=True)
    last = ForgetRequest(forget=(2, 3), num_classes=K)
    for mask in ("floor", "convex"):
        assert check_maskable(clamped, last, mask) == (
            (
                "a ReLU, Clip or another function with a lower bound follows the head: the masked "
                "score is that bound, which loses even a tie, as class 0 stands before it"
            ),
        )
        with pytest.raises(UnsupportedModelError) as caught:
            check_maskable(clamped, REQUEST, mask)
        assert caught.value.reason == (
            "a ReLU, Clip or another function with a lower bound follows the head, and class 0 "
            "wins whenever all scores are clipped to that bound, being first"
        )
        assert word(caught.value.remedy, "flags") == (
            "Use --method nhle, which trains the features and is judged by them, or --mask drop, "
            "which takes the class's row out."
        )
    assert check_maskable(clamped, REQUEST, "zero") == ()
    assert check_maskable(make_head(), REQUEST, "floor") == ()


def test_a_shadow_behind_a_cap_is_refused() -> None:
    capped = replace(make_head(), is_capped=True)
    assert check_maskable(capped, REQUEST, "floor") == ()
    with pytest.raises(UnsupportedModelError) as caught:
        check_maskable(capped, REQUEST, "convex")
    assert caught.value.reason == (
        "what follows the head rounds high scores to one number, so that the shadow of a class can "
        "tie with it"
    )
    assert word(caught.value.remedy, "flags") == "Give --mask floor."


@pytest.mark.parametrize(
    ("kind", "bias", "lowest", "scale", "stretch", "expected"),
    [
        (np.float32, 4.0, None, 1.0, 1.0, -6.0),
        (np.float32, 4.0, None, -2.0, 1.0, 9.0),
        (np.float32, 4.0, None, 1.0, 0.5, -16.0),
        (np.float32, 4.0, None, 1.0, 3.0, -6.0),
        (np.float16, 4.0, None, 1.0, 1.0, -28.0),
        (np.float32, 4.0, -3.0, 1.0, 1.0, -3.0),
        (np.float32, 4.0, -7.0, 1.0, 1.0, -6.0),
        (np.float32, 2.0**30, None, 1.0, 1.0, 2.0**30 - 2.0**8),
        (np.float32, -(2.0**30), None, 1.0, 1.0, -(2.0**30) - 2.0**8),
    ],
)
def test_a_bias_is_lowered_by_a_margin_in_logits(
    kind: type, bias: float, lowest: float | None, scale: float, stretch: float, expected: float
) -> None:
    """As far as its format goes, and by no less than rounding there would take away."""
    values = HeadValues(
        weight=np.zeros((K, D), kind), bias=np.array([0, bias, 0, 0], kind), stretch=stretch,
        lowest_bias=None if lowest is None else np.array([0, 0, lowest, 0]),
    )  # fmt: skip
    assert lower_bias(values, make_head(0, scale), 1, 2) == expected


def test_a_class_without_room_for_the_margin_is_not_shadowed() -> None:
    """The nearest, class 1, has room for 9 of 10 logits, in its own scale and stretch."""
    values = HeadValues(weight=np.array([[9.0], [0], [0], [1]]), bias=np.zeros(K))
    request = ForgetRequest(forget=(0,), num_classes=K)
    for room, scale, stretch, expected in (
        (9.0, 1.0, 1.0, 3), (10.0, 1.0, 1.0, 1), (5.0, 2.0, 1.0, 1), (4.9, 2.0, 1.0, 3),
        (19.0, 1.0, 0.5, 3), (20.0, 1.0, 0.5, 1), (9.9, 1.0, 2.0, 3), (10.0, 1.0, 2.0, 1),
    ):  # fmt: skip
        narrow = replace(values, lowest_bias=np.array([0, -room, 0, -99]), stretch=stretch)
        assert find_shadowed([(narrow, make_head(0, scale))], request) == [expected]


def test_only_a_class_before_all_others_can_win_a_tie() -> None:
    for forgotten, first in (((0, 2), 0), ((2, 3), None), ((1,), None), ((0, 1), 0)):
        assert find_first(ForgetRequest(forget=forgotten, num_classes=K)) == first


def test_a_class_shadows_one_before_it_if_there_is_one() -> None:
    """The nearest to the mean of the retained rows: class 3, then 1."""
    rows = np.array([[0.0], [2.0], [9.0], [4.0]])
    values = HeadValues(weight=rows, bias=np.zeros(K))
    for forgotten, expected in (((0,), [3]), ((2,), [1]), ((2, 3), [0, 0]), ((0, 1), [2, 2])):
        request = ForgetRequest(forget=forgotten, num_classes=K)
        assert find_shadowed([(values, make_head())], request) == expected
    narrow = replace(values, lowest_bias=np.array([-1.0, -0.5, -20, -20]))
    for forgotten, expected in (((0,), [3]), ((2,), [0]), ((1,), [0]), ((3,), [2])):
        request = ForgetRequest(forget=forgotten, num_classes=K)
        assert find_shadowed([(narrow, make_head())], request) == expected


@pytest.mark.parametrize("scale", [1.0, -2.0])
def test_a_class_that_is_read_by_itself_has_a_low_score(scale: float) -> None:
    values = HeadValues(weight=np.zeros((K, D), np.float32), bias=np.zeros(K, np.float32))
    head = replace(make_head(0, scale), is_separate=True)
    np.testing.assert_allclose(find_floor(values, head) * scale, -30)
    narrow = replace(values, lowest_bias=np.full(K, -4.0))
    np.testing.assert_allclose(find_floor(narrow, replace(head, bias_scale=1.0)), -4)


def test_half_of_the_units_are_important_and_one_at_least() -> None:
    assert find_important_units(np.array([3.0])).tolist() == [0]
    assert find_important_units(np.array([1.0, 3.0])).tolist() == [1]
    assert find_important_units(np.array([1.0, 3.0, 2.0, 4.0])).tolist() == [3, 1]
    alike = np.tile([0.0, 1.0], 500)
    assert find_important_units(alike).tolist() == list(range(1, 1000, 2))


def test_importance_masks_the_most_active_units() -> None:
    values = HeadValues(weight=np.ones((K, D), np.float32), bias=np.ones(K, np.float32))
    activations = np.array([[5, 4, 3, 2, 1], [0, 0, 9, 0, 8]], np.float32)
    masked = mask_classes(values, make_head(), REQUEST, "importance", activations)
    np.testing.assert_array_equal(masked.weight[0], [0, 0, 1, 1, 1])
    np.testing.assert_array_equal(masked.weight[2], [1, 1, 0, 1, 0])
    np.testing.assert_array_equal(masked.weight[[1, 3]], 1)
    with pytest.raises(ValueError, match=r"^the importance mask needs mean activations$"):
        mask_classes(values, make_head(), REQUEST, "importance")
