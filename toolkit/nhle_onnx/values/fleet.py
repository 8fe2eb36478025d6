"""A fleet: many models and requests, and their results. The fields are those of the JSON output."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from nhle_onnx.values.exit_codes import EXIT_CODES
from nhle_onnx.values.task import CLASSIFICATION, DETECTION, Task
from nhle_onnx.values.verdict import Verdict

Status = Literal["passed", "failed", "not-judged", "refused", "crashed", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A finished job of a classifier.

    `inputs` is the digest of everything that decides its result; `report` and `edited` are the
    digests of its outputs. `acc_f`, `delta_acc_r` and `unmasked_acc_f` are as in its report.
    """

    task: ClassVar[Task] = CLASSIFICATION
    schema: str = "nhle-onnx/job/v1"
    inputs: str
    report: str
    edited: str
    verdict: Verdict
    acc_f: float | None
    delta_acc_r: float | None
    unmasked_acc_f: float | None
    elapsed_s: float

    @property
    def figures(self) -> tuple[float | None, float | None, float | None]:
        """What is left of the class, what the others lost, and what is left when unmasked."""
        return self.acc_f, self.delta_acc_r, self.unmasked_acc_f


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionJobRecord:
    """A finished job of a detector, with the average precisions of its report."""

    task: ClassVar[Task] = DETECTION
    schema: str = "nhle-onnx/detection-job/v1"
    inputs: str
    report: str
    edited: str
    verdict: Verdict
    ap_f: float | None
    delta_map_r: float | None
    unmasked_ap_f: float | None
    elapsed_s: float

    @property
    def figures(self) -> tuple[float | None, float | None, float | None]:
        """As of a `JobRecord`."""
        return self.ap_f, self.delta_map_r, self.unmasked_ap_f


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """The result of one job.

    `model` is relative to the fleet file if it lies in that file's folder. A job finished in an
    earlier run is `kept`. One that is not finished has a reason instead of a record.
    """

    name: str
    model: str
    forget: tuple[str, ...]
    status: Status
    exit_code: int
    kept: bool = False
    record: JobRecord | DetectionJobRecord | None = None
    reason: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """What a run would do with a job: keep its result, run it, or refuse it with a reason."""

    name: str
    model: str
    forget: tuple[str, ...]
    status: Literal["kept", "ready", "refused"]
    exit_code: int = 0
    reason: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlan:
    """What a dry run of a fleet found."""

    schema: str = "nhle-onnx/fleet-plan/v1"
    tool: dict[str, str]
    jobs: tuple[JobPlan, ...]

    @property
    def exit_code(self) -> int:
        """The highest exit code of a job that would be refused, otherwise 0."""
        return max((job.exit_code for job in self.jobs), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetReport:
    """The whole of `summary.json`. `counts` has an entry for every status that occurs."""

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
        """PASSED only if every job is finished and passed; without any job, nothing was judged."""
        statuses = {job.status for job in self.jobs} or {"not-judged"}
        if self.interrupted or not statuses <= {"passed", "not-judged"}:
            return "failed"
        return "passed" if statuses <= {"passed"} else "not-judged"

    @property
    def passed(self) -> bool:
        """Whether every job is finished and passed its gates."""
        return self.verdict == "passed"

    @property
    def exit_code(self) -> int:
        """0 if every job passed, otherwise the highest exit code of a job; 1 is a failed gate."""
        return max((job.exit_code for job in self.jobs), default=EXIT_CODES[self.verdict])
