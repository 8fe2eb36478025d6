"""Memory that is free but still held by this process."""

import ctypes
import gc
from contextlib import suppress

_LARGE = 2**22  # bytes of a model; runs of smaller ones are so short that the search would show


def give_back_memory(model_bytes: int) -> None:
    """Give unused memory back to the system, before something else needs as much.

    torch's modules refer to themselves, which keeps their weights until they are collected; and
    glibc keeps the pieces between those in use, unless it is asked.
    """
    if model_bytes < _LARGE:
        return
    gc.collect()
    with suppress(AttributeError, OSError, TypeError):  # another C library has no such call
        ctypes.CDLL(None).malloc_trim(0)
