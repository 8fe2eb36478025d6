"""Ray on this machine alone or on a cluster. Imported only on request."""

import logging
import os
import socket
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from itertools import islice
from typing import Any

from nhle_onnx.engines.engine import Job, Outcome, Value, crash, lose, settle
from nhle_onnx.errors import DeviceUnavailableError, first_line

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reads it when it starts

try:
    import ray
except ImportError as error:
    _MESSAGE = "the engine ray was asked for, but Ray is not installed"
    raise DeviceUnavailableError(
        _MESSAGE, remedy="In a clone of nhle-onnx: pip install '.[ray]'"
    ) from error

_LOCAL = "local"  # Ray's name for a new local instance
_PATIENCE_S = 10
_AHEAD = 2  # tasks for each worker, so that none waits for the driver


class RayTasks:
    """One Ray task for each job, on one core each."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(
        self, function: Callable[[Job], Value], jobs: Mapping[str, Job], retries: int
    ) -> Generator[Outcome[Value]]:
        """Do as `Engine.run`. Ray itself repeats a task whose process or machine died."""
        task: Any = ray.remote(num_cpus=1, max_retries=retries, retry_exceptions=False)(settle)
        waiting = iter(jobs.items())
        running: dict[Any, str] = {}
        try:
            while True:
                for key, job in islice(waiting, self.workers * _AHEAD - len(running)):
                    running[task.remote(function, key, job)] = key
                if not running:
                    return
                for reference in ray.wait(list(running), num_returns=1)[0]:
                    yield _collect(reference, running.pop(reference))
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


def _collect(reference: Any, key: str) -> Outcome[Value]:  # noqa: ANN401 - Ray types none
    try:
        outcome: Outcome[Value] = ray.get(reference)
    except ray.exceptions.RayTaskError as error:  # the error could not even be loaded
        return crash(key, error)
    except ray.exceptions.RayError as error:
        return lose(key, f"Ray gave its task up: {first_line(error)}")
    return outcome


@contextmanager
def connect_ray(address: str | None, workers: int | None) -> Iterator[RayTasks]:
    """Connect to the cluster whose head is at HOST:PORT, or to the one that RAY_ADDRESS names.

    Without an address, start Ray on this machine alone with so many workers, and stop it at the
    end. If this process is already connected, that connection is used. Raises
    DeviceUnavailableError where no such cluster answers.
    """
    if ray.is_initialized():
        with _use_connection(workers) as engine:
            yield engine
        return
    address = address or os.environ.get("RAY_ADDRESS") or _LOCAL
    own: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False}
    try:
        _check_answers(address)
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            **own if address == _LOCAL else {},
        )
    except Exception as error:  # Ray raises errors of any type
        ray.shutdown()
        place = "on this machine" if address == _LOCAL else f"at {address}"
        message = f"Ray does not run {place}: {str(error) or type(error).__name__}"
        remedy = (
            "Give the head's address as ray://HOST:PORT, with the port that `ray start --head` "
            "printed (6379 by default), on a machine of the cluster."
            if address != _LOCAL
            else "Free some memory and processor time; see Ray's logs for details."
        )
        raise DeviceUnavailableError(message, remedy=remedy) from error
    try:
        with _use_connection(workers) as engine:
            yield engine
    finally:
        ray.shutdown()


@contextmanager
def _use_connection(workers: int | None) -> Iterator[RayTasks]:
    # Ray prints its workers' problems, and stdout is for results
    with redirect_stdout(sys.stderr):
        cores = int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]
        yield RayTasks(min(workers or cores, cores))


def _check_answers(address: str) -> None:
    """Raise OSError or ValueError where nothing listens; Ray itself would try for minutes."""
    if address in {_LOCAL, "auto"}:
        return
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), timeout=_PATIENCE_S).close()
