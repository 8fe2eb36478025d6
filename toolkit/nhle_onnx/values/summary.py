"""Models in reports. Fields are named as in the JSON."""

from dataclasses import dataclass

from nhle_onnx.values.detector import Detector
from nhle_onnx.values.model import ClassifierHead
from nhle_onnx.values.preprocess import Preprocess

AS_FOUND = "as found"  # the name of a trial with no options
_CLEAR_GAIN = 0.05  # in accuracy


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
class Trial:
    """Options for preprocessing, and the mean accuracy over classes with them; of a detector, the
    mean average precision.
    """

    options: str
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """Preprocessing tried on images, best first; `notes` say which samples were left out."""

    images: int
    tried: tuple[Trial, ...]
    notes: tuple[str, ...] = ()

    @property
    def proposal(self) -> Trial | None:
        """The best trial, if it is clearly better than preprocessing as found; the user decides."""
        found = next((each.accuracy for each in self.tried if each.options == AS_FOUND), 0.0)
        best = self.tried[0] if self.tried else None
        return best if best and best.accuracy > found + _CLEAR_GAIN else None


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectReport:
    """What `inspect` found. `head` is None if there is no head, and `reasons` say why; a detector
    has a `detector` instead.

    `trials` are there if images were given on which the model could be run.
    """

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
    trials: Trials | None = None
    detector: Detector | None = None
