"""Models in reports. Fields are named as in the JSON."""

from dataclasses import dataclass

from nhle_onnx.values.model import ClassifierHead
from nhle_onnx.values.preprocess import Preprocess


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSummary:
    """A model by its content; `sidecars` are the digests of files that hold its weights."""

    path: str
    sha256: str
    size_bytes: int
    sidecars: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSummary(FileSummary):
    """The model as given. `format` is the number format of its head."""

    opset: int
    head: ClassifierHead
    format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectReport:
    """What `inspect` found. `head` is None where there is none, and `reasons` say why not."""

    schema: str = "nhle-onnx/inspect/v1"
    tool: dict[str, str]
    model: FileSummary
    opset: int
    ir_version: int
    format: str | None
    inputs: dict[str, str]
    outputs: dict[str, str]
    head: ClassifierHead | None
    labels: tuple[str, ...] | None
    trainable_tensors: int
    trainable_parameters: int
    unsupported_operators: tuple[str, ...]
    preprocess: Preprocess | None
    unlearn: dict[str, bool]
    reasons: tuple[str, ...]
