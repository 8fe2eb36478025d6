"""The linear programme that says how low the best retained score can fall."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nhle_onnx.unlearning.mask_bounds import find_lowest_best

BOUNDED = st.floats(-3, 3, width=32)


@given(
    arrays(np.float64, (4, 5), elements=BOUNDED),
    arrays(np.float64, 4, elements=BOUNDED),
    arrays(np.float64, (50, 5), elements=st.floats(0, 1)),
)
def test_no_features_bring_every_score_below_it(
    weight: np.ndarray, bias: np.ndarray, shares: np.ndarray
) -> None:
    low, high = -0.5, 2.0
    features = low + shares * (high - low)
    best = (features @ weight.T + bias).max(1)
    assert find_lowest_best(weight, bias, low, high) <= best.min() + 1e-6


@given(arrays(np.float64, 6, elements=BOUNDED), st.floats(-3, 3))
def test_one_class_falls_to_its_own_minimum(row: np.ndarray, bias: float) -> None:
    low, high = -0.5, 2.0
    expected = np.where(row > 0, row * low, row * high).sum() + bias
    found = find_lowest_best(row[None], np.array([bias]), low, high)
    assert found == pytest.approx(expected, abs=1e-6)


def test_opposed_classes_hold_each_other_up() -> None:
    row = np.array([1.0, -2.0, 0.5])
    found = find_lowest_best(np.stack([row, -row]), np.array([0.25, 0.25]), -1.0, 1.0)
    assert found == pytest.approx(0.25)


def test_features_without_a_bound_bring_every_score_down() -> None:
    assert find_lowest_best(np.ones((3, 2)), np.zeros(3), -np.inf, np.inf) == -np.inf
