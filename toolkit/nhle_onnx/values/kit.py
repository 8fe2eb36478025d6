"""A kit for a device, and a device's result. The fields are those of the JSON files."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from nhle_onnx.values.detector import BoxTensor, ScoreTensor
from nhle_onnx.values.report import Accuracy
from nhle_onnx.values.settings.gates import DeviceLimits
from nhle_onnx.values.summary import FileSummary
from nhle_onnx.values.verdict import Check, Judged

InputType = Literal["float32", "float16"]  # those that every NumPy has
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Answer = Annotated[int, Field(ge=0)] | None  # a class; None for an object that is not detected
Task = Literal["classifier", "detector"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KitModel:
    """The model in a kit.

    `file` is its path in the kit; `sidecars` are the digests of the files that hold its weights, by
    their path relative to the model.
    """

    file: str
    sha256: Digest
    size_bytes: Count
    sidecars: dict[str, Digest]


@dataclass(frozen=True, slots=True, kw_only=True)
class KitImages:
    """Images as the model's input, one after the other, as little-endian numbers.

    `input` names the graph's input. `shape` is one image's, without the batch axis. `batch` is the
    graph's fixed batch size, otherwise 1: that many copies of an image fill a batch.
    """

    file: str
    sha256: Digest
    input: str
    dtype: InputType
    shape: tuple[Count, ...]
    batch: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class KitObjects:
    """How a detector's answers are read, and the objects that the images show.

    `places` says which image shows each object, in their order; `corners` are left, top, right and
    bottom, in the unit of the model's boxes. `appended` are bytes (base64) that a runner appends to
    the model's, where boxes and scores are not outputs yet: they name two more.

    An object is detected if a box of its class with a score of at least `least_score` overlaps it
    by at least `least_overlap`. Before that, boxes that overlap a better one of their class by more
    than `suppression` are removed, and all but the best `most` of an image.
    """

    boxes: BoxTensor
    scores: ScoreTensor
    appended: str
    places: tuple[Count, ...]
    corners: tuple[tuple[Finite, Finite, Finite, Finite], ...]
    least_score: Share
    least_overlap: Share
    suppression: Share
    most: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFigures:
    """The host's figures on the same images; `before` is the original's, if it was given."""

    runtime: str
    provider: str
    before: Accuracy | None
    after: Accuracy


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """The whole of `kit.json`: `classes` are the images' labels, `expected` the host's answers.

    With `objects`, which a detector has, both are about each object: its class, and the class as
    which it is detected. An accuracy is then the share of the objects that are detected.

    `gaps` says why these images are not enough for a verdict; it is empty if they are.
    """

    schema: Literal["nhle-onnx/kit/v1"] = "nhle-onnx/kit/v1"
    tool: dict[str, str]
    model: KitModel
    output: str
    images: KitImages
    labels: tuple[str, ...]
    forget: tuple[Count, ...]
    classes: tuple[Count, ...]
    expected: tuple[Answer, ...]
    host: HostFigures
    limits: DeviceLimits
    gaps: tuple[str, ...] = ()
    objects: KitObjects | None = None

    @property
    def task(self) -> Task:
        """What its model does."""
        return "detector" if self.objects else "classifier"

    @property
    def samples(self) -> int:
        """How many images it has."""
        return self.objects.places[-1] + 1 if self.objects else len(self.classes)


@dataclass(frozen=True, slots=True, kw_only=True)
class KitSamples:
    """How many images went into a kit, how many of forgotten classes, and out of how many."""

    kit: int
    forgotten: int
    available: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KitReport(Judged):
    """What `kit` made, and the host's figures on its images."""

    schema: str = "nhle-onnx/kit-report/v1"
    tool: dict[str, str]
    model: FileSummary
    baseline: FileSummary | None
    kit: FileSummary
    kit_json_sha256: str
    labels: tuple[str, ...]
    forget: tuple[int, ...]
    samples: KitSamples
    provider: str
    before: Accuracy | None
    after: Accuracy
    delta_acc_r: float | None
    notes: tuple[str, ...]
    checks: tuple[Check, ...]
    task: Task = "classifier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The runtime on the device.

    `saturates`: it clips sums of uint8 × int8; None in results of older kits.
    """

    name: str
    version: str
    providers: tuple[str, ...]
    saturates: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds for one run, as percentiles over all images."""

    p50: Milliseconds
    p90: Milliseconds
    p99: Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCount:
    """Images of a class, correct answers among them, and images of any class answered with it.

    With a detector: objects of the class, and in both other fields those that are detected.
    """

    label: str
    total: Count
    correct: Count
    predicted: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The gates as the device judged them, with the kit's limits."""

    passed: bool
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KitCopy:
    """The unchanged kit.json that a result is about, so that its digest can be checked."""

    sha256: Digest
    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceResult:
    """The whole of `device-result.json`, as the device wrote it."""

    schema: Literal["nhle-onnx/device-result/v1"]
    runner: str
    measured_at: str
    model_sha256: Digest
    runtime: Runtime
    device: dict[str, str | int]
    samples: Count
    latency_ms: Latency
    agreement: Share
    after: Accuracy
    delta_acc_r: float | None
    per_class: tuple[ClassCount, ...]
    verdict: Verdict
    predictions: tuple[Answer, ...]
    kit: KitCopy


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReport(Judged):
    """The report of `verify` on a device's answers. `host` is the kit's figure."""

    schema: str = "nhle-onnx/device-report/v1"
    tool: dict[str, str]
    result: str
    kit_json_sha256: str
    model: KitModel
    runner: str
    measured_at: str
    runtime: Runtime
    device: dict[str, str | int]
    latency_ms: Latency
    labels: tuple[str, ...]
    forget: tuple[int, ...]
    samples: int
    per_class: tuple[ClassCount, ...]
    before: Accuracy | None
    host: Accuracy
    after: Accuracy
    delta_acc_r: float | None
    agreement: float
    notes: tuple[str, ...]
    checks: tuple[Check, ...]
    task: Task = "classifier"
