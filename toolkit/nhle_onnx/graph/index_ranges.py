"""Runs of neighbouring indices."""

from collections.abc import Iterable


def find_ranges(indices: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Return the first and last index of each run of consecutive indices."""
    runs: list[tuple[int, int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], index)
        else:
            runs.append((index, index))
    return tuple(runs)
