"""Processes on this machine, each behind its own pipe, so that it is certain which job killed one.

A pool of `concurrent.futures` would need semaphores of the system, which a further process of
Python's looks after; where that is killed too, the next one prints tracebacks.
"""

import multiprocessing
import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Generic

from nhle_onnx.engines.engine import Job, Outcome, Value, crash, lose, settle
from nhle_onnx.values.cores import THREADS_VARIABLE, count_cores

_SPAWN = multiprocessing.get_context("spawn")  # threads do not survive a fork
_Call = tuple[Callable[[Job], Value], str, Job]  # a function, the job's key, the job


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt(Generic[Job]):
    key: str
    job: Job
    deaths: int = 0


class Processes:
    """`workers` processes that share the machine's cores."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(
        self, function: Callable[[Job], Value], jobs: Mapping[str, Job], retries: int
    ) -> Generator[Outcome[Value]]:
        """As `Engine.run`."""
        waiting = deque(_Attempt(key=key, job=job) for key, job in jobs.items())
        running: dict[_Worker, _Attempt[Job]] = {}
        finished: list[Outcome[Value]] = []
        with _open_workers(min(self.workers, len(waiting)), self.workers) as workers:
            while waiting or running or finished:
                unsent = [*_send_jobs(function, workers, waiting, running)]
                yield from finished  # while the processes work on the next jobs
                finished = [*unsent, *_receive_outcomes(waiting, running, retries)]


@contextmanager
def _open_workers(count: int, sharing: int) -> Iterator[list["_Worker"]]:
    """Start `count` processes, each with its part of the cores that `sharing` processes share."""
    lifeline, end = _SPAWN.Pipe(duplex=False)
    workers = [_Worker(lifeline, max(1, count_cores() // sharing)) for _ in range(count)]
    try:
        yield workers
    finally:
        end.close()  # this ends the processes, whatever they are doing
        for worker in workers:
            worker.close()
        lifeline.close()


def _send_jobs(
    function: Callable[[Job], Value],
    workers: Sequence["_Worker"],
    waiting: deque[_Attempt[Job]],
    running: dict["_Worker", _Attempt[Job]],
) -> Iterator[Outcome[Value]]:
    """Send each idle worker a job, and yield the outcomes of those that cannot be sent."""
    idle = [worker for worker in workers if worker not in running]
    while waiting and idle:
        attempt = waiting.popleft()
        try:
            idle[-1].send((function, attempt.key, attempt.job))
            running[idle.pop()] = attempt
        except Exception as error:  # noqa: BLE001 - it cannot be pickled
            yield crash(attempt.key, error)


def _receive_outcomes(
    waiting: deque[_Attempt[Job]], running: dict["_Worker", _Attempt[Job]], retries: int
) -> Iterator[Outcome[Value]]:
    """Wait until a worker has an outcome or has died, and yield all that there are."""
    ready = wait([worker.pipe for worker in running]) if running else ()
    for worker in [each for each in running if each.pipe in ready]:
        attempt = running.pop(worker)
        outcome: Outcome[Value] | None = worker.receive()
        if outcome:
            yield outcome
        elif attempt.deaths < retries:
            waiting.appendleft(replace(attempt, deaths=attempt.deaths + 1))
        else:
            yield lose(attempt.key, f"its process died {retries + 1} times")


class _Worker:
    """One process, replaced by another when it dies."""

    def __init__(self, lifeline: Connection, threads: int) -> None:
        self._arguments = (lifeline, threads)
        self._open()

    def _open(self) -> None:
        self.pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_work, args=(theirs, *self._arguments))
        with _calm():
            self._process.start()
        theirs.close()

    def send(self, call: _Call[Job, Value]) -> None:
        """Send the process a job."""
        try:
            self.pipe.send(call)
        except OSError:  # it died while it had nothing to do
            self._replace()
            self.pipe.send(call)

    def receive(self) -> Outcome[Value] | None:
        """Return the job's outcome, or None where the process died."""
        try:
            outcome: Outcome[Value] = self.pipe.recv()
        except (EOFError, OSError):
            self._replace()
            return None
        return outcome

    def _replace(self) -> None:
        self.close()
        self._open()

    def close(self) -> None:
        """Wait for the process to end."""
        self.pipe.close()
        self._process.join()


@contextmanager
def _calm() -> Iterator[None]:
    """Start processes that no interrupt reaches before they have decided to ignore it.

    Python's process for shared resources has none to look after here, so none warns of its death.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="resource_tracker")
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _work(pipe: Connection, lifeline: Connection, threads: int) -> None:
    """Do jobs in a process that leaves interrupts to its parent, and ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.environ[THREADS_VARIABLE] = str(threads)  # torch reads it when it is imported
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    while True:
        try:
            function, key, job = pipe.recv()
        except EOFError:  # the parent has closed its end
            return
        try:
            pipe.send(settle(function, key, job))
        except Exception as error:  # noqa: BLE001 - the value cannot be pickled
            pipe.send(crash(key, error))


def _end_with(lifeline: Connection) -> None:
    lifeline.poll(None)  # nothing is ever sent: it becomes ready when the other end is closed
    os._exit(1)
