"""The reports of `unlearn` and `verify`. Fields are named as in the JSON."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from nhle_onnx.values.kernels import Kernels
from nhle_onnx.values.outcomes import Outcomes
from nhle_onnx.values.preprocess import Preprocess
from nhle_onnx.values.summary import FileSummary, ModelSummary
from nhle_onnx.values.task import CLASSIFICATION, Task
from nhle_onnx.values.verdict import Check, Judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Fractions of evaluation samples whose class wins the argmax over all outputs.

    `acc_f` over the forgotten, `acc_r` over the retained classes, `per_class` by index; None where
    there is no sample.
    """

    task: ClassVar[Task] = CLASSIFICATION
    acc_f: float | None
    acc_r: float | None
    per_class: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSummary:
    """How many samples there are of each use, and where they came from.

    `variety` says how much the forget samples differ: the median distance of a sample to the one
    most like it, divided by the median distance of any two; the lowest of all forgotten classes.
    """

    forget: int
    anchors: int
    eval: int
    source: str
    anchor_source: str
    eval_source: str
    variety: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmasked:
    """The edited network with the original head put back."""

    acc_f: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherKernels:
    """Accuracies by the other `kernels`, if these answer differently on this machine.

    `accuracies` are by their names in the report, such as `after`; `reason` says why they differ.
    """

    kernels: Kernels = "exact"
    accuracies: dict[str, Accuracy]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedFile:
    """The edited model in another format, compared with it on `images` from `source`.

    `agreement` is the share of images where both answer the same class, or detect the same.
    `largest_difference` is that of any score, absolute up to 1, relative to larger scores.
    """

    format: Literal["ort"]
    path: str
    sha256: str
    size_bytes: int
    images: int
    source: str
    agreement: float
    largest_difference: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStep:
    """One step of training, with its losses: on the forget samples' scores, on what is to be
    retained, and on features that are to align with those of other classes.

    `forget_margin` is the largest margin by which a forget sample's class stands above the mean of
    the retained ones, in logit spreads; `win_margin` the largest above the best of them.
    `retain_loss` is weighted by `retain_weight`; `drift` is its part on the anchors, without that
    weight; `step_size` is the fraction of each tensor's magnitude, or the learning rate, by which
    the step then moved the weights.
    """

    step: int
    forget_loss: float
    retain_loss: float
    alignment_loss: float
    forget_margin: float
    # reports before 0.2 lack these
    win_margin: float = 0.0
    drift: float = 0.0
    retain_weight: float = 0.0
    step_size: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlearnReport(Judged):
    """The whole of `report.json`. `outcomes` come with a page."""

    schema: str = "nhle-onnx/report/v2"
    tool: dict[str, str]
    environment: dict[str, str]
    command: str
    seed: int
    model: ModelSummary
    edited: FileSummary
    labels: tuple[str, ...]
    forget: tuple[int, ...]
    samples: SampleSummary
    preprocess: Preprocess | None
    method: dict[str, Any]
    provider: str
    kernels: Kernels = "exact"
    device: str
    before: Accuracy
    after: Accuracy
    unmasked: Unmasked
    delta_acc_r: float | None
    other_kernels: OtherKernels | None = None
    changed_tensors: tuple[str, ...]
    added_tensors: tuple[str, ...]
    removed: tuple[str, ...] = ()
    trajectory: tuple[TrainingStep, ...]
    elapsed_s: dict[str, float]
    notes: tuple[str, ...]
    also: tuple[ConvertedFile, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    outcomes: Outcomes | None = None
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderResult:
    """One model on one ONNX Runtime provider."""

    provider: str
    accuracy: Accuracy


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport(Judged):
    """What `verify` found. `before`, `unmasked` and `delta_acc_r` need a baseline; `outcomes` come
    with a page.
    """

    schema: str = "nhle-onnx/verify/v1"
    tool: dict[str, str]
    model: FileSummary
    baseline: FileSummary | None
    labels: tuple[str, ...]
    forget: tuple[int, ...]
    samples: int
    preprocess: Preprocess | None
    providers: tuple[ProviderResult, ...]
    kernels: Kernels = "exact"
    before: Accuracy | None
    after: Accuracy
    unmasked: Unmasked | None
    delta_acc_r: float | None
    other_kernels: OtherKernels | None = None
    changed_tensors: tuple[str, ...] | None
    elapsed_s: dict[str, float]
    notes: tuple[str, ...]
    outcomes: Outcomes | None = None
    checks: tuple[Check, ...]
