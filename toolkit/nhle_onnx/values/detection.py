"""What was measured of a detector. Fields are named as in the JSON."""

from dataclasses import dataclass
from typing import Any, ClassVar

from nhle_onnx.values.detector import Detector
from nhle_onnx.values.kernels import Kernels
from nhle_onnx.values.outcomes import Role
from nhle_onnx.values.preprocess import Preprocess
from nhle_onnx.values.report import (
    ConvertedFile,
    SampleSummary,
    TrainingStep,
    UnlearnReport,
    VerifyReport,
)
from nhle_onnx.values.summary import FileSummary
from nhle_onnx.values.task import DETECTION, Task
from nhle_onnx.values.verdict import Check, Judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """Average precision as COCO defines it, over overlaps from .5 to .95.

    `ap_f` is the mean over the forgotten classes, `map_r` over the others. `per_class` is by index,
    `per_class_50` the same at an overlap of .5; None where no image shows the class. `by_scale` is
    `ap_f` from the detections of one scale alone. `objects` counts the objects of the forgotten
    classes, `detected` those found with a score of at least .05 and an overlap of .5.
    """

    task: ClassVar[Task] = DETECTION
    ap_f: float | None
    map_r: float | None
    per_class: tuple[float | None, ...]
    per_class_50: tuple[float | None, ...]
    by_scale: dict[str, float | None]
    objects: int
    detected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownBox:
    """A box of class `index`; left, top, right and bottom are fractions of the image's edges."""

    corners: tuple[float, float, float, float]
    index: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownScene:
    """An image, its true boxes, and those that each model detects.

    `index` is its place among the images; `picture` is a `data:` address of a small copy, or empty.
    """

    index: int
    true: tuple[ShownBox, ...]
    detected: dict[Role, tuple[ShownBox, ...]]
    picture: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorSummary(FileSummary):
    """The detector as given. `format` is the number format of its class channels."""

    opset: int
    detector: Detector
    format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionReport(Judged):
    """The whole of `report.json` of a detector that forgot a class; `unmasked` is measured with the
    original's class channels, and `scenes` are what a page shows, empty without one.
    """

    schema: str = "nhle-onnx/detection/v1"
    tool: dict[str, str]
    environment: dict[str, str]
    command: str
    seed: int
    model: DetectorSummary
    edited: FileSummary
    labels: tuple[str, ...]
    forget: tuple[int, ...]
    samples: SampleSummary
    preprocess: Preprocess | None
    method: dict[str, Any]
    provider: str
    kernels: Kernels
    device: str
    before: Precision
    after: Precision
    unmasked: Precision
    delta_map_r: float | None
    changed_tensors: tuple[str, ...]
    added_tensors: tuple[str, ...]
    trajectory: tuple[TrainingStep, ...]
    elapsed_s: dict[str, float]
    notes: tuple[str, ...]
    checks: tuple[Check, ...]
    also: tuple[ConvertedFile, ...] = ()
    scenes: tuple[ShownScene, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionVerifyReport(Judged):
    """What `verify` found of a detector. `before` and `unmasked` need a baseline; `scenes` are what
    a page shows, empty without one.
    """

    schema: str = "nhle-onnx/detection-verify/v1"
    tool: dict[str, str]
    model: FileSummary
    baseline: FileSummary | None
    labels: tuple[str, ...]
    forget: tuple[int, ...]
    samples: int
    preprocess: Preprocess | None
    provider: str
    kernels: Kernels
    before: Precision | None
    after: Precision
    unmasked: Precision | None
    delta_map_r: float | None
    changed_tensors: tuple[str, ...] | None
    elapsed_s: dict[str, float]
    notes: tuple[str, ...]
    checks: tuple[Check, ...]
    scenes: tuple[ShownScene, ...] = ()


# what `unlearn` and `verify` report, of whatever the model is
EditReport = UnlearnReport | DetectionReport
VerificationReport = VerifyReport | DetectionVerifyReport
