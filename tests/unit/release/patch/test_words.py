"""Differences of numbers: the way there and back, and what makes them small."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nhle_onnx.release.patch.differences import add_counts, split_counts, split_differences

COUNTS = st.lists(st.integers(-(2**15) + 1, 2**15 - 1), min_size=1, max_size=20)


@given(COUNTS, st.integers(-20, 3))
def test_counts_give_back_the_sums(counts: list[int], exponent: int) -> None:
    steps = np.int32(counts)
    old = np.linspace(-1, 1, len(counts)).astype(np.float32)
    planes = split_counts(steps)
    found = np.frombuffer(add_counts(old.tobytes(), planes, exponent), np.float32)
    expected = old + (steps * 2.0**exponent).astype(np.float32)
    assert found.tobytes() == expected.tobytes()
    assert [len(plane) for plane in planes] == [len(counts)] * 2
    if np.abs(steps).max() < 2**7:
        assert not any(planes[1])


@given(st.sampled_from([1, 2, 4]), st.lists(st.integers(-128, 127), min_size=1, max_size=9))
def test_small_differences_have_high_bytes_of_zero(width: int, moves: list[int]) -> None:
    """Which is what makes them small once they are compressed."""
    old = np.arange(7, 7 + len(moves)).astype(f"<i{width}")
    new = (old + np.int64(moves)).astype(old.dtype)
    low, *high = split_differences(old.tobytes(), new.tobytes(), width)
    assert list(low) == [2 * each if each >= 0 else -2 * each - 1 for each in moves]
    assert not any(map(any, high))
    assert len(high) == width - 1
