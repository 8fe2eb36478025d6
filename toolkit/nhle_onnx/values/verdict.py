"""A verdict, and the checks and evidence that it rests on. Fields are named as in the JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nhle_onnx.values.notebook import render_notebook

Verdict = Literal["passed", "failed", "not-judged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a value was measured on: the number of `images`, without copies.

    `interval` contains the true value with 95 % confidence. `bound` is the worst value that cannot
    be ruled out with 95 % confidence; it decides whether the images are enough for a verdict.
    """

    images: int
    interval: tuple[float, float]
    bound: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A measured value against its limit. A failed check is a result, not an exception.

    `value` is None if nothing was measured. `gap` says why the evidence is not enough for a
    verdict, and what would be; it is empty if the evidence is enough.
    """

    name: str
    value: float | None
    limit: float
    better: Literal["lower", "higher"]
    evidence: Evidence | None = None
    gap: str = ""

    @property
    def verdict(self) -> Verdict:
        """FAILED if the limit is missed, with any evidence; PASSED if it is kept, with enough."""
        if self.value is not None and not self._is_kept(self.value):
            return "failed"
        return "not-judged" if self.value is None or self.gap else "passed"

    @property
    def passed(self) -> bool:
        """Whether the limit was kept, with enough evidence."""
        return self.verdict == "passed"

    def _is_kept(self, value: float) -> bool:
        return value <= self.limit if self.better == "lower" else value >= self.limit


class Judged:
    """A report with checks, and the verdict that follows from them."""

    __slots__ = ()
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """PASSED only if every check passed."""
        return conclude(self.checks)

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return self.verdict == "passed"

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return render_notebook(self)


def conclude(checks: Sequence[Check]) -> Verdict:
    """Return the verdict of several checks: a failed one decides, then one that was not judged.

    Without any check, nothing was judged.
    """
    verdicts = [check.verdict for check in checks] or ["not-judged"]
    return next((each for each in ("failed", "not-judged") if each in verdicts), "passed")


def group_gaps(checks: Sequence[Check]) -> dict[str, list[str]]:
    """Return the names of the checks that could not be judged, by their gap."""
    gaps: dict[str, list[str]] = {}
    for check in checks:
        if check.verdict == "not-judged":
            gaps.setdefault(check.gap, []).append(check.name)
    return gaps
