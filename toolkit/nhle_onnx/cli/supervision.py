"""A child process that goes on with the program, and a parent that only watches it. Linux."""

import gc
import os
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_POLL_S = 0.05  # how far a child may overshoot; in that time memory fills by about 100 MB
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_CONTROL_GROUPS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a child may take: bytes of resident memory, and seconds."""

    max_bytes: int
    max_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a child ended: with an exit code or, where that is negative, of a signal of its negative
    number. `excess` is the bound that it broke.
    """

    code: int
    excess: Literal["memory", "seconds"] | None = None


def fork_watched(bounds: Bounds) -> Ending | None:
    """Fork. The child gets None and goes on; the parent, once the child has ended, how it did.

    Must be called before any thread exists. The child dies with the parent. Signals sent to the
    parent alone are handed on, so that it never ends before the child.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, a child could not be waited for
    awaited = {signal.SIGCHLD, *_list_heeded()}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    parent = os.getpid()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    gc.freeze()  # else collecting garbage would copy the pages that both share
    child = os.fork()
    if child == 0:
        _die_with(parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return None
    try:
        return _watch(child, awaited, bounds)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def die_of(number: int) -> None:
    """End this process of a signal that its child died of, as its own parent would expect."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def measure_machine_bytes() -> int:
    """The memory that this process can ever have: the machine's, or its control group's."""
    sizes = [os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES]
    for path in _CONTROL_GROUPS:
        try:
            sizes.append(int(path.read_text("ascii")))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return min(sizes)


def _list_heeded() -> list[signal.Signals]:
    """A shell's background job ignores interrupts; so must we."""
    return [number for number in _FORWARDED if signal.getsignal(number) is not signal.SIG_IGN]


def _die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent dies, so that none is ever left over."""
    import ctypes  # which the parent need not load

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before that
        os._exit(1)


def _watch(child: int, awaited: Iterable[int], bounds: Bounds) -> Ending:
    spent_s, seen_s = 0.0, time.monotonic()
    while True:
        arrived = signal.sigtimedwait(awaited, _POLL_S)
        if arrived and arrived.si_signo != signal.SIGCHLD and _was_sent_here_alone(arrived):
            os.kill(child, arrived.si_signo)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return Ending(code=os.waitstatus_to_exitcode(status))
        now_s = time.monotonic()
        # while a terminal has stopped this process (Ctrl-Z), it has stopped the child as well
        spent_s, seen_s = spent_s + min(now_s - seen_s, 2 * _POLL_S), now_s
        if _measure_resident_bytes(child) > bounds.max_bytes:
            return Ending(code=_kill(child), excess="memory")
        if spent_s > bounds.max_seconds:
            return Ending(code=_kill(child), excess="seconds")


def _was_sent_here_alone(arrived: signal.struct_siginfo) -> bool:
    """By a process. What the kernel sends, for a key at the terminal, goes to the child too."""
    return arrived.si_code <= 0


def _measure_resident_bytes(child: int) -> int:
    try:
        fields = Path(f"/proc/{child}/statm").read_text("ascii").split()
    except OSError:
        return 0
    return int(fields[1]) * _PAGE_BYTES if fields else 0


def _kill(child: int) -> int:
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
