"""What every engine does, and what came of a job."""

import traceback
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar, cast

from nhle_onnx.errors import NhleOnnxError, WorkerLostError

Job = TypeVar("Job")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a job has no value: `refused` is the user's to mend, `crashed` is a bug with its
    traceback in `detail`, `lost` is a process that died each time it was tried.
    """

    kind: Literal["refused", "crashed", "lost"]
    error: NhleOnnxError
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[Value]):
    """What came of the job of this key: a value, or a failure."""

    key: str
    value: Value | None = None
    failure: Failure | None = None


class Engine(Protocol):
    """Runs jobs that are independent of each other."""

    @property
    def workers(self) -> int:
        """How many jobs run at a time."""

    def run(
        self, function: Callable[[Job], Value], jobs: Mapping[str, Job], retries: int
    ) -> Generator[Outcome[Value]]:
        """Call `function` with each job, and yield what came of it as soon as it is done.

        What a job raises is a failure of it alone, and never raised here. A job whose process died
        is run again, `retries` times at most; so the function must bear to be run twice. Closing
        the generator stops what still runs.
        """


def settle(
    function: Callable[[Job], Value], key: str, job: Job
) -> Outcome[Value]:  # a module's function, so that other processes find it
    """The outcome of one job, in the process that runs it."""
    try:
        return Outcome(key=key, value=function(job))
    except NhleOnnxError as error:
        return Outcome(key=key, failure=Failure(kind="refused", error=error))
    except Exception as error:  # noqa: BLE001 - one job's bug is no other's
        return crash(key, error)


def crash(key: str, error: Exception) -> Outcome[Value]:
    """The outcome of a job that met a bug; to be called where its error is caught."""
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    bug = NhleOnnxError(reason, remedy="This is a bug; please report it with the traceback.")
    failure = Failure(kind="crashed", error=bug, detail=traceback.format_exc())
    return Outcome(key=key, failure=failure)


def lose(key: str, reason: str) -> Outcome[Value]:
    """The outcome of a job whose process died each time."""
    remedy = "Most often memory ran out: run fewer jobs at a time, and run again."
    return Outcome(
        key=key, failure=Failure(kind="lost", error=WorkerLostError(reason, remedy=remedy))
    )


def take_value(outcome: Outcome[Value]) -> Value:
    """The value. Raises the failure's error; of a bug, RuntimeError with its traceback."""
    if outcome.failure and outcome.failure.kind == "crashed":
        raise RuntimeError(outcome.failure.detail)
    if outcome.failure:
        raise outcome.failure.error
    return cast("Value", outcome.value)
