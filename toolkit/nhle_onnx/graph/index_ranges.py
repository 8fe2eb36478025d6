"""Runs of neighbouring indices."""

from collections.abc import Iterable


def find_ranges(indices: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """First and last of each run of rising indices."""
    runs: list[tuple[int, int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], index)
        else:
            runs.append((index, index))
    return tuple(runs)
