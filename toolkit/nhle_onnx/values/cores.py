"""How many processor cores and threads the program may use."""

import os

_MAX_LANES = 16
THREADS_VARIABLE = "OMP_NUM_THREADS"  # torch reads it itself, and Ray sets it for its workers


def count_cores() -> int:
    """Count the processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_thread_limit() -> int | None:
    """Read how many threads the environment allows for a computation; None for no limit."""
    text = os.environ.get(THREADS_VARIABLE, "").split(",")[0].strip()  # outermost level first
    return int(text) if text.isdecimal() and int(text) else None


def count_threads() -> int:
    """Count the threads that compute at a time: one for each core, or fewer by the limit."""
    return min(count_cores(), read_thread_limit() or count_cores())


def count_lanes() -> int:
    """Count the lanes: batches that are computed at the same time. No lane waits for another, so
    small networks gain more from lanes than from several threads for a batch.
    """
    return min(count_threads(), _MAX_LANES)
