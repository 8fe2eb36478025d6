"""A fleet: many models and requests, and what came of each. Fields are named as in the JSON."""

from dataclasses import dataclass
from typing import Literal

from nhle_onnx.values.verdict import Verdict

Status = Literal["passed", "failed", "not-judged", "refused", "crashed", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A job that is done, by the digest of all that went into it; `report` and `edited` are the
    digests of its outputs. `acc_f`, `delta_acc_r` and `unmasked_acc_f` are as in its report.
    """

    schema: str = "nhle-onnx/job/v1"
    inputs: str
    report: str
    edited: str
    verdict: Verdict
    acc_f: float | None
    delta_acc_r: float | None
    unmasked_acc_f: float | None
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """What came of one job. A job that was done before is `kept`, with its record; one that is not
    done has a reason in place of a record.
    """

    name: str
    model: str
    forget: tuple[str, ...]
    status: Status
    exit_code: int
    kept: bool = False
    record: JobRecord | None = None
    reason: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetReport:
    """The whole of `summary.json`. `counts` has every status that occurs."""

    schema: str = "nhle-onnx/fleet/v1"
    tool: dict[str, str]
    engine: str
    workers: int
    elapsed_s: float
    interrupted: bool
    counts: dict[Status, int]
    jobs: tuple[JobResult, ...]

    @property
    def verdict(self) -> Verdict:
        """PASSED only if every job is done, and passed."""
        if self.interrupted:
            return "failed"
        statuses = {job.status for job in self.jobs}
        if statuses <= {"passed"}:
            return "passed"
        return "not-judged" if statuses <= {"passed", "not-judged"} else "failed"

    @property
    def passed(self) -> bool:
        """Whether every job is done, and passed its gates."""
        return self.verdict == "passed"

    @property
    def exit_code(self) -> int:
        """0 where every job passed, else the highest of the jobs'; 1 is a failed gate."""
        return max((job.exit_code for job in self.jobs), default=0)
