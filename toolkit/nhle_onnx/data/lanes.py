"""Work on several items side by side, with the results in the items' order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

First = TypeVar("First")
Second = TypeVar("Second")
Result = TypeVar("Result")


def run_in_lanes(
    work: Callable[[First, Second], Result],
    firsts: Iterable[First],
    seconds: Iterable[Second],
    lanes: int,
) -> Generator[Result]:
    """Yield `work(first, second)` for each pair. A pair is taken only once all pairs but the last
    `lanes` are done: one waits, so that a lane that is done need not wait for an earlier one. Close
    the generator to stop early; what was begun is then finished.
    """
    pool = ThreadPoolExecutor(lanes, thread_name_prefix="lane")
    pending: deque[Future[Result]] = deque()
    try:
        for pair in zip(firsts, seconds, strict=True):
            pending.append(pool.submit(work, *pair))
            if len(pending) > lanes:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
