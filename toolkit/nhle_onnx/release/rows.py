"""Rows of pictures and tables: the names of classes, and which of many are shown."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nhle_onnx.text import name_class
from nhle_onnx.values.audit import Measure
from nhle_onnx.values.outcomes import Role

MOST_ROWS = 24
_LONGEST_LABEL = 50

Values = Mapping[Role, Sequence[float | None]]


def name_classes(labels: Sequence[str], forget: Sequence[int]) -> tuple[str, ...]:
    """Name every class by index and label; forgotten ones say so."""
    names = (name_class(index, label) for index, label in enumerate(labels))
    return tuple(
        f"{name} (forgotten)" if index in forget else name for index, name in enumerate(names)
    )


def cut_labels(labels: Sequence[str]) -> list[str]:
    """Labels cut so that a picture has room for all of the name."""
    return [
        label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"
        for label in labels
    ]


def choose_rows(
    count: int,
    forget: Sequence[int],
    values: Mapping[Any, Sequence[float | None]],
    measure: Callable[[Sequence[float]], float],
) -> list[int]:
    """Choose all classes, or the forgotten ones and those that `measure` puts first; by index."""

    def rank(row: int) -> tuple[bool, float]:
        present = [value for shares in values.values() if (value := at(shares, row)) is not None]
        return row not in forget, -measure(present) if present else 0.0

    return sorted(sorted(range(count), key=rank)[:MOST_ROWS])


def measure_spread(values: Sequence[float]) -> float:
    """Measure the largest difference between two models."""
    return max(values) - min(values)


def take(values: Values, rows: Sequence[int]) -> dict[Role, list[float | None]]:
    """Take the chosen rows of each model."""
    return {role: [at(shares, row) for row in rows] for role, shares in values.items()}


def at(values: Sequence[float | None], row: int) -> float | None:
    """None for a class that a model does not have: a retrained one may lack the forgotten."""
    return values[row] if row < len(values) else None


def say_left_out(rows: Sequence[int], names: Sequence[str], which: str) -> str:
    """Say which classes are shown, if not all are."""
    left_out = len(names) - len(rows)
    return (
        f" Shown are the classes {which}; {left_out:,} more are left out here." if left_out else ""
    )


def name_measure(measure: Measure) -> str:
    """Name a figure of an attack in plain words, as they start a row."""
    text = measure.title.replace("the original Acc_F", "the original accuracy")
    text = text.replace("Acc_F", "recognised").replace("AP_F", "average precision")
    return text[:1].upper() + text[1:]
