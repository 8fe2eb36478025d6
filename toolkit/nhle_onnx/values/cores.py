"""How many processor cores and threads the program may use."""

import os

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
