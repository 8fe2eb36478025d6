"""Where a step runs, and the rows that it yields."""

import time
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import torch

from studies.tables import Row, write_met

REST = "the rest, not run"
Sign = Literal["≤", "≥", "="]


class Place(NamedTuple):
    """The card; or in a dry run the CPU, with little work."""

    name: Literal["cuda", "cpu"]

    @property
    def is_dry(self) -> bool:
        """Whether this only shows that the script runs."""
        return self.name == "cpu"

    def choose(self, whole: int, dry: int) -> int:
        """Choose an amount of work."""
        return dry if self.is_dry else whole


Step = Callable[[Place], Iterator[Row]]


def tell(what: str, value: object) -> Row:
    """Make a row without a limit."""
    return {"what": what, "value": value, "limit": "", "met": ""}


def judge(what: str, value: float, sign: Sign, limit: float) -> Row:
    """Make a row with a limit; a value that is not a number misses it."""
    met = {"≤": value <= limit, "≥": value >= limit, "=": value == limit}[sign]
    return {"what": what, "value": value, "limit": f"{sign} {limit}", "met": write_met(met=met)}


def skip(what: str, reason: str) -> Row:
    """Make a row for what did not run."""
    return tell(what, f"not run: {reason}")


def fail(what: str, reason: object) -> Row:
    """Make a row for what should have worked; `reason` may be several lines of any text."""
    text = " ".join(str(reason).split()).replace("|", "/")
    return {
        "what": what,
        "value": f"failed: {text}",
        "limit": "works",
        "met": write_met(met=False),
    }


def time_repeated(work: Callable[[], object], times: int) -> float:
    """Return the mean seconds of `times` calls, after one to warm up."""
    work()
    _wait()
    start = time.perf_counter()
    for _ in range(times):
        work()
    _wait()
    return (time.perf_counter() - start) / times


def _wait() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
