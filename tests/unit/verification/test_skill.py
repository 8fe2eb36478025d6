"""What few samples show of an accuracy, and what an accuracy shows of skill."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nhle_onnx.verification.evidence import bound_accuracy, measure_skill
from scipy.stats import binomtest


@given(st.integers(1, 300).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_the_bound_is_the_exact_interval(drawn: tuple[int, int]) -> None:
    hits, count = drawn
    interval = binomtest(hits, count, alternative="less").proportion_ci(0.95, method="exact")
    assert bound_accuracy(hits / count, count) == pytest.approx(interval.high, abs=1e-9)


@given(st.integers(2, 20), st.integers(0, 19))
def test_skill_is_nothing_for_one_answer_and_one_for_all_right(count: int, answer: int) -> None:
    constant = [float(index == answer % count) for index in range(count)]
    assert measure_skill(constant) == pytest.approx(0)
    assert measure_skill([None, *constant]) == pytest.approx(0)
    assert measure_skill([1.0] * count) == pytest.approx(1)
    assert measure_skill([0.0] * count) < 0
