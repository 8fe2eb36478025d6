"""What we know of a model: the file, and its classifier head."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from onnx import ModelProto


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a tensor's bytes lie: `length` of them, or where that is None, all from `offset` on.
    `entries` are its external_data as stored, in order.
    """

    location: str
    offset: int
    length: int | None
    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxModel:
    """A loaded model and the file it came from. The proto is never changed; edits copy it.

    `path` is as the user gave it. The proto holds all weights; `places` says which of them the
    file keeps outside, `sidecars` the digests of the files that hold those. `sha256` is the .onnx
    file's, `size_bytes` of all.
    """

    path: Path
    proto: ModelProto
    sha256: str
    size_bytes: int
    places: Mapping[str, Place] = field(default_factory=dict)
    sidecars: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> frozenset[Path]:
        """Every file that holds a part of the model, with links followed."""
        resolved = self.path.resolve()
        return frozenset({resolved, *(resolved.parent / name for name in self.sidecars)})

    @property
    def opset(self) -> int:
        """Version of the default operator set."""
        versions = [entry.version for entry in self.proto.opset_import if entry.domain == ""]
        return max(versions, default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantParams:
    """How whole numbers stand for real ones: (number - zero point) · product of the scales.

    All are names of tensors in the graph. Those that hold more than one number hold one for each
    index of `axis`, or for each block of `block_size` of them.
    """

    scales: tuple[str, ...]
    zero_point: str | None
    axis: int = 0
    block_size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierHead:
    """The last learned layer: logits = features · weight (+ bias), one class a row.

    `class_axis` is the weight's axis that counts classes. The operator multiplies the weight by
    `weight_scale` and the bias by `bias_scale` (Gemm's alpha and beta). `features` and `logits`
    name the layer's input and output: [N, D] and [N, K], for a 1x1 Conv with spatial axes behind.
    `scores` names the last tensor before a softmax or the like, after any pooling; `is_clamped`
    says that a ReLU or Clip stands before it, `is_separate` that a sigmoid follows, so that each
    score is read by itself. `output` names the graph output.

    In a quantized model, quantization parameters say what the numbers of a tensor stand for; None
    where they are real. `feature_limits` are those that the features come from.
    `score_quant_params` are those that the logits pass, nearest to the scores first: nothing can
    be below the lowest number of each.
    """

    op: str
    node: str
    weight: str
    bias: str | None
    bias_scale: float
    class_axis: int
    num_classes: int
    feature_dim: int
    features: str
    logits: str
    scores: str
    is_clamped: bool
    output: str
    weight_quant_params: QuantParams | None = None
    bias_quant_params: QuantParams | None = None
    feature_quant_params: QuantParams | None = None
    feature_limits: QuantParams | None = None
    scores_quant_params: QuantParams | None = None
    score_quant_params: tuple[QuantParams, ...] = ()
    weight_scale: float = 1.0
    is_separate: bool = False
