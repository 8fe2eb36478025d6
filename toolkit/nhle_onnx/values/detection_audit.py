"""What attacks found in a detector. Fields are named as in the JSON."""

from dataclasses import dataclass

from nhle_onnx.values.audit import AuditReport, AuditSamples, Curves, Measure, Skipped
from nhle_onnx.values.detection import Precision, ShownScene
from nhle_onnx.values.kernels import Kernels
from nhle_onnx.values.outcomes import Role
from nhle_onnx.values.preprocess import Preprocess
from nhle_onnx.values.request import Effort
from nhle_onnx.values.summary import FileSummary
from nhle_onnx.values.verdict import Check, Judged


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionAuditReport(Judged):
    """The whole of an audit of a detector. `precisions` are what each model detects as it is,
    `curves` are AP_F after each step of relearning, from step 0; `scenes` are what a page shows,
    empty without one.
    """

    schema: str = "nhle-onnx/detection-audit/v1"
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
    kernels: Kernels
    device: str
    effort: Effort
    precisions: dict[Role, Precision]
    delta_map_r: float | None
    curves: Curves
    measures: tuple[Measure, ...]
    skipped: tuple[Skipped, ...]
    elapsed_s: dict[str, float]
    notes: tuple[str, ...]
    checks: tuple[Check, ...]
    scenes: tuple[ShownScene, ...] = ()

    @property
    def before(self) -> Precision:
        """What the original detects."""
        return self.precisions["original"]

    @property
    def after(self) -> Precision:
        """What the edited model detects."""
        return self.precisions["edited"]


AnyAudit = AuditReport | DetectionAuditReport
