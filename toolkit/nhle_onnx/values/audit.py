"""What an audit found. Fields are named as in the JSON."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nhle_onnx.values.kernels import Kernels
from nhle_onnx.values.outcomes import Outcomes, Role
from nhle_onnx.values.preprocess import Preprocess
from nhle_onnx.values.report import Accuracy, OtherKernels
from nhle_onnx.values.request import Effort
from nhle_onnx.values.summary import FileSummary
from nhle_onnx.values.verdict import Check, Judged

Curves = dict[Role, tuple[float, ...]]  # Acc_F after each step of relearning, on each model


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One figure of one attack, on each model.

    An attack that varies is repeated: figures are medians, and `interval` is the edited model's
    range over all repeats, which includes each repeat's 95 % interval if it has one. `position`
    says where the edited model stands between the original, 0, and the reference, 1; None without
    a reference, or where the two are too close to tell. A figure above `cap` was not reached.
    `shadows` are the figures of shadow networks, if any were trained.
    """

    attack: str
    name: str
    title: str
    original: float | None
    edited: float | None
    reference: float | None
    interval: tuple[float, float] | None = None
    position: float | None = None
    cap: float | None = None
    shadows: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """An attack that could not run. `leaves_gap` says that the verdict needs it: what it would have
    shown is not known.
    """

    attack: str
    reason: str
    leaves_gap: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSamples:
    """How many samples there are of each use: for the attacker, for measuring, and `members` of the
    original's training set.
    """

    attack: int
    judge: int
    members: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport(Judged):
    """The whole of an audit. `flows` are the shares of forgotten samples that are answered with
    each class; `curves` are Acc_F after each step of relearning, from step 0. `outcomes` come with
    a page.
    """

    schema: str = "nhle-onnx/audit/v1"
    tool: dict[str, str]
    environment: dict[str, str]
    command: str
    seed: int
    model: FileSummary
    baseline: FileSummary
    reference: FileSummary | None
    labels: tuple[str, ...]
    forget: tuple[int, ...]
    samples: AuditSamples
    preprocess: Preprocess | None
    provider: str
    kernels: Kernels = "exact"
    device: str
    effort: Effort = "fast"
    accuracies: dict[Role, Accuracy]
    other_kernels: OtherKernels | None = None
    flows: dict[Role, tuple[float, ...]]
    curves: Curves
    measures: tuple[Measure, ...]
    skipped: tuple[Skipped, ...]
    elapsed_s: dict[str, float]
    notes: tuple[str, ...]
    outcomes: Outcomes | None = None
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """Features of samples of `classes` [N] in two dimensions, `points` [N, 2] for each model."""

    classes: npt.NDArray[np.int64]
    points: dict[Role, npt.NDArray[np.float64]]
