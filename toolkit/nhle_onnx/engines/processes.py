"""Processes on this machine, each its own pool, so that it is certain which job killed one."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Generic

from nhle_onnx.engines.engine import Job, Outcome, Value, crash, lose, settle
from nhle_onnx.values.cores import THREADS_VARIABLE, count_cores

_SPAWN = multiprocessing.get_context("spawn")  # threads do not survive a fork


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
        running: dict[Future[Outcome[Value]], tuple[_Slot, _Attempt[Job]]] = {}
        lifeline, end = _SPAWN.Pipe(duplex=False)
        threads = max(1, count_cores() // self.workers)
        idle = [_Slot(lifeline, threads) for _ in range(min(self.workers, len(waiting)))]
        slots = tuple(idle)
        finished: list[Outcome[Value]] = []
        try:
            while waiting or running or finished:
                while waiting and idle:
                    slot, attempt = idle.pop(), waiting.popleft()
                    future = slot.submit(settle, function, attempt.key, attempt.job)
                    running[future] = (slot, attempt)
                yield from finished  # while the processes work on the next jobs
                finished = []
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    slot, attempt = running.pop(future)
                    idle.append(slot)
                    try:
                        finished.append(future.result())
                    except BrokenProcessPool:
                        if attempt.deaths < retries:
                            waiting.appendleft(replace(attempt, deaths=attempt.deaths + 1))
                            continue
                        reason = f"its process died {retries + 1} times"
                        finished.append(lose(attempt.key, reason))
                    except Exception as error:  # noqa: BLE001 - the job could not even be sent
                        finished.append(crash(attempt.key, error))
        finally:
            end.close()  # this ends the processes, whatever they are doing
            for slot in slots:
                slot.close()
            lifeline.close()


class _Slot:
    """One process, replaced by another when it dies."""

    def __init__(self, lifeline: Connection, threads: int) -> None:
        self._arguments = (lifeline, threads)
        self._pool = self._open()

    def _open(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            1, mp_context=_SPAWN, initializer=_start, initargs=self._arguments
        )

    def submit(
        self, function: Callable[..., Outcome[Value]], *arguments: object
    ) -> Future[Outcome[Value]]:
        """Run a job in the process."""
        try:
            return self._pool.submit(function, *arguments)
        except BrokenProcessPool:
            self._pool.shutdown()
            self._pool = self._open()
            return self._pool.submit(function, *arguments)

    def close(self) -> None:
        """Wait for the process to end."""
        self._pool.shutdown(cancel_futures=True)


def _start(lifeline: Connection, threads: int) -> None:
    """Set up a worker process: it leaves interrupts to its parent, and ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ[THREADS_VARIABLE] = str(threads)  # torch reads it when it is imported
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    lifeline.poll(None)  # nothing is ever sent: it becomes ready when the other end is closed
    os._exit(1)
