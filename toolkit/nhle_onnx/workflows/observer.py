"""How a workflow tells what it is doing, and how long each stage took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Observer(Protocol):
    """Someone who watches: a progress bar, or nobody."""

    def start_stage(self, name: str) -> None:
        """A stage begins; the one before it is done."""

    def advance(self, done: int, total: int, detail: str) -> None:
        """The stage has done so much of at most `total`."""


class Silence:
    """Nobody watches."""

    def start_stage(self, name: str) -> None:
        """Say nothing."""

    def advance(self, done: int, total: int, detail: str) -> None:
        """Say nothing."""


class Stopwatch:
    """Seconds of each stage, and an observer that hears of them."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self.elapsed_s: dict[str, float] = {}

    @contextmanager
    def stage(self, key: str, name: str) -> Iterator[None]:
        """Time a stage under `key`; `name` is for people."""
        self.observer.start_stage(name)
        start = time.perf_counter()
        yield
        spent = time.perf_counter() - start
        self.elapsed_s[key] = round(self.elapsed_s.get(key, 0.0) + spent, 3)

    def report_samples(self, done: int, total: int) -> None:
        """Samples that were measured, of how many."""
        self.observer.advance(done, total, f"{done} of {total} samples")
