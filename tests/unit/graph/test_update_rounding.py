"""Updates in whole steps: found again bit for bit, and hardly moved."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nhle_onnx.graph.update_rounding import add_steps, find_steps, round_update

VALUES = arrays(np.float32, 200, elements=st.floats(-4, 4, width=32))


@given(VALUES, VALUES, st.sampled_from([1e-6, 1e-3, 1.0]))
def test_steps_that_are_found_give_the_update(
    old: np.ndarray, move: np.ndarray, size: float
) -> None:
    """There may be none, where float32 rounds a sum away from its step: a patch then holds bits."""
    rounded = round_update(old, old + move * np.float32(size))
    steps = find_steps(old, rounded)
    if steps is not None:
        assert add_steps(old, *steps).tobytes() == rounded.tobytes()


@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-4, 1e-2, 1.0]))
def test_rounding_moves_an_update_little(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    old = rng.normal(size=500).astype(np.float32)
    new = old + (size * rng.normal(size=500)).astype(np.float32)
    rounded = round_update(old, new)
    assert np.linalg.norm(rounded - new) < 0.08 * np.linalg.norm(new - old)
    assert find_steps(old, rounded) is not None


def test_more_steps_than_a_patch_can_hold_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one weight among millions that moves far: the update is cut, or told in bits."""
    monkeypatch.setattr("nhle_onnx.graph.update_rounding._MOST", 16)
    old, counts = np.zeros(1000, np.float32), np.ones(1000)
    counts[0] = 60
    new = add_steps(old, counts, -3)
    assert find_steps(old, new) is None
    found = find_steps(old, round_update(old, new))
    assert found is None or np.abs(found[0]).max() < 16


def test_an_update_of_nothing_stays_nothing() -> None:
    old = np.float32([1, 2, 3])
    assert round_update(old, old).tobytes() == old.tobytes()


def test_steps_are_not_found_where_there_are_none() -> None:
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=(2, 100)).astype(np.float32)
    assert find_steps(old, new) is None
