"""How a workflow reports its progress, and the duration of each stage."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Observer(Protocol):
    """The interface for progress reports: a progress bar, or silence."""

    def start_stage(self, name: str) -> None:
        """Begin a stage, which ends the previous one."""

    def advance(self, done: int, total: int, detail: str) -> None:
        """Report the progress of the stage, `done` of at most `total`."""


class Silence:
    """An observer that shows nothing."""

    def start_stage(self, name: str) -> None:
        """Show nothing."""

    def advance(self, done: int, total: int, detail: str) -> None:
        """Show nothing."""


class Stopwatch:
    """Measures the seconds of each stage, and tells an observer."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self.elapsed_s: dict[str, float] = {}

    @contextmanager
    def stage(self, key: str, name: str) -> Iterator[None]:
        """Time a stage under `key`; `name` is shown."""
        self.observer.start_stage(name)
        start = time.perf_counter()
        yield
        self.elapsed_s[key] = round(self.elapsed_s.get(key, 0.0) + time.perf_counter() - start, 3)

    def report_samples(self, done: int, total: int) -> None:
        """Report the number of measured samples."""
        self.observer.advance(done, total, f"{done} of {total} samples")
