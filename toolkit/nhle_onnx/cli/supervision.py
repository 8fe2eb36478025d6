"""A child process that runs the program, and a parent that only watches it. Linux only."""

import gc
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_POLL_S = 0.05  # between checks; in that time memory can grow by about 100 MB
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_REPEATED = frozenset({signal.SIGTERM, signal.SIGHUP})  # a user repeats an interrupt
_REPEAT_S = 1.0
_PR_SET_PDEATHSIG = 1
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_CONTROL_GROUPS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """A child's limits: bytes of resident memory, and seconds."""

    max_bytes: int
    max_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a child ended: its exit code or, if negative, the number of the signal that killed it.

    `excess` is the limit that it exceeded.
    """

    code: int
    excess: Literal["memory", "seconds"] | None = None


def fork_watched(bounds: Bounds) -> Ending | None:
    """Fork; return None in the child and, once the child has ended, its ending in the parent.

    Must be called before there are other threads. The child dies with the parent. Signals sent to
    the parent alone are passed on, so that it never ends before the child.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # otherwise waiting fails
    awaited = {signal.SIGCHLD, *_list_heeded()}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    parent = os.getpid()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    gc.freeze()  # otherwise garbage collection would copy the pages that both share
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
    """End this process with the signal that ended its child, as its own parent expects."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def measure_machine_bytes() -> int:
    """Return the memory available to this process: the machine's, or its control group's."""
    sizes = [os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES]
    for path in _CONTROL_GROUPS:
        try:
            sizes.append(int(path.read_text("ascii")))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return min(sizes)


def _list_heeded() -> list[signal.Signals]:
    """List signals that are not ignored; a shell's background job must ignore interrupts."""
    return [number for number in _FORWARDED if signal.getsignal(number) is not signal.SIG_IGN]


def _die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent dies, so that none is ever left behind."""
    import ctypes  # the parent need not load it

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent died before that
        os._exit(1)


def _watch(child: int, awaited: Iterable[int], bounds: Bounds) -> Ending:
    spent_s, seen_s = 0.0, time.monotonic()
    request, sent_s = 0, 0.0
    while True:
        arrived = signal.sigtimedwait(awaited, _POLL_S)
        now_s = time.monotonic()
        if arrived and arrived.si_signo != signal.SIGCHLD and _was_sent_here_alone(arrived):
            request, sent_s = arrived.si_signo, now_s
            os.kill(child, request)
        # Python hears of a signal between two steps; one that comes just before a step that waits
        # is heard only after it, unless another signal cuts that step short
        elif request in _REPEATED and now_s - sent_s > _REPEAT_S:
            sent_s = now_s
            os.kill(child, request)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return Ending(code=os.waitstatus_to_exitcode(status))
        # when a terminal stops this process (Ctrl-Z), it stops the child as well
        spent_s, seen_s = spent_s + min(now_s - seen_s, 2 * _POLL_S), now_s
        if _measure_resident_bytes(child) > bounds.max_bytes:
            return Ending(code=_kill(child), excess="memory")
        if spent_s > bounds.max_seconds:
            return Ending(code=_kill(child), excess="seconds")


def _was_sent_here_alone(arrived: signal.struct_siginfo) -> bool:
    """Whether a process sent it; the kernel sends a terminal key's signal to the child as well."""
    return arrived.si_code <= 0


def _measure_resident_bytes(child: int) -> int:
    """Return the resident bytes of a process and those that it started; shared pages count once."""
    own, _ = _read_pages(child)
    others = sum(resident - shared for resident, shared in map(_read_pages, _list_started(child)))
    return (own + others) * _PAGE_BYTES


def _read_pages(process: int) -> tuple[int, int]:
    """Return resident pages, and how many of them are shared."""
    try:
        fields = Path(f"/proc/{process}/statm").read_text("ascii").split()
    except OSError:
        return 0, 0
    return (int(fields[1]), int(fields[2])) if fields else (0, 0)


def _list_started(process: int) -> Iterator[int]:
    try:
        places = list(Path(f"/proc/{process}/task").glob("*/children"))
        texts = [place.read_text("ascii") for place in places]
    except OSError:  # it has just ended
        return
    for started in map(int, " ".join(texts).split()):
        yield started
        yield from _list_started(started)


def _kill(child: int) -> int:
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
