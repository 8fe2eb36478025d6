"""The interface of every engine, and the outcome of a job."""

import traceback
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar, cast

from nhle_onnx.errors import NhleOnnxError, WorkerLostError

Job = TypeVar("Job")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a job has no value.

    `refused`: the user can correct it. `crashed`: a bug, with its traceback in `detail`. `lost`:
    the process died at every attempt.
    """

    kind: Literal["refused", "crashed", "lost"]
    error: NhleOnnxError
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[Value]):
    """The outcome of the job with this key: a value, or a failure."""

    key: str
    value: Value | None = None
    failure: Failure | None = None


class Engine(Protocol):
    """Runs jobs that do not depend on each other."""

    @property
    def workers(self) -> int:
        """The number of jobs that run at a time."""

    def run(
        self, function: Callable[[Job], Value], jobs: Mapping[str, Job], retries: int
    ) -> Generator[Outcome[Value]]:
        """Call `function` with each job, and yield each outcome as soon as it is ready.

        An exception in a job becomes the failure of that job, and is never raised here. A job whose
        process died is run again, at most `retries` times, so running `function` twice must be
        safe. Closing the generator stops the jobs that are still running.
        """


def settle(
    function: Callable[[Job], Value], key: str, job: Job
) -> Outcome[Value]:  # a module-level function, so that other processes can find it
    """Run one job in this process, and return its outcome."""
    try:
        return Outcome(key=key, value=function(job))
    except NhleOnnxError as error:
        return Outcome(key=key, failure=Failure(kind="refused", error=error))
    except Exception as error:  # noqa: BLE001 - a bug in one job must not stop the others
        return crash(key, error)


def crash(key: str, error: Exception) -> Outcome[Value]:
    """Return the outcome of a job with a bug; call this in the `except` block."""
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    bug = NhleOnnxError(reason, remedy="This is a bug; please report it with the traceback.")
    failure = Failure(kind="crashed", error=bug, detail=traceback.format_exc())
    return Outcome(key=key, failure=failure)


def lose(key: str, reason: str) -> Outcome[Value]:
    """Return the outcome of a job whose process died at every attempt."""
    remedy = "The usual cause is too little memory: run fewer jobs at a time, and run again."
    return Outcome(
        key=key, failure=Failure(kind="lost", error=WorkerLostError(reason, remedy=remedy))
    )


def take_value(outcome: Outcome[Value]) -> Value:
    """Return the value. Raises the failure's error; for a bug, RuntimeError with the traceback."""
    if outcome.failure and outcome.failure.kind == "crashed":
        raise RuntimeError(outcome.failure.detail)
    if outcome.failure:
        raise outcome.failure.error
    return cast("Value", outcome.value)
