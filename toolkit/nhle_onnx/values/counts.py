"""How many samples of each class a model gets right."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCounts:
    """Samples by class index, [K]: `correct` out of `total`, and how many of `total` are `copies`
    of an image that was counted before for the same class.

    Integers, so that counts of parts of the samples add up to the counts of all, in any order.
    Raises ValueError for impossible counts.
    """

    correct: tuple[int, ...]
    total: tuple[int, ...]
    copies: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse impossible counts."""
        pairs = zip(self.correct, self.total, strict=False)
        if len(self.correct) != len(self.total) or any(not 0 <= c <= t for c, t in pairs):
            raise ValueError(f"these counts are impossible: {self.correct} of {self.total}")
        if not self.copies:
            object.__setattr__(self, "copies", (0,) * len(self.total))

    def count_distinct(self, index: int) -> tuple[int, int]:
        """Count the different images of a class: the most that can be correct, and all of them."""
        count = max(self.total[index] - self.copies[index], min(self.total[index], 1))
        return min(self.correct[index], count), count

    def __add__(self, other: Self) -> "ClassCounts":
        """Return the counts of two sets of samples together; both must have the same classes."""
        return ClassCounts(
            correct=_add(self.correct, other.correct),
            total=_add(self.total, other.total),
            copies=_add(self.copies, other.copies),
        )


def _add(these: tuple[int, ...], those: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(one + other for one, other in zip(these, those, strict=True))
