"""How well a model tells classes apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nhle_onnx.verification.skill import measure_skill


@given(st.integers(2, 20), st.integers(0, 19))
def test_skill_is_nothing_for_one_answer_and_one_for_all_right(count: int, answer: int) -> None:
    constant = [float(index == answer % count) for index in range(count)]
    assert measure_skill(constant) == pytest.approx(0)
    assert measure_skill([None, *constant]) == pytest.approx(0)
    assert measure_skill([1.0] * count) == pytest.approx(1)
    assert measure_skill([0.0] * count) < 0


def test_one_class_shows_nothing_and_two_do() -> None:
    assert measure_skill([]) is None
    assert measure_skill([0.9, None]) is None
    assert measure_skill([0.9, None, 0.7]) == pytest.approx(0.6)
