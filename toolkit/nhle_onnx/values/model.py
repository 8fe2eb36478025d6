"""A loaded model: its file, and its classifier head."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from onnx import ModelProto


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an external tensor's bytes lie.

    It has `length` bytes from `offset` on; if `length` is None, all to the end of the file.
    `entries` are its external_data as stored, in order.
    """

    location: str
    offset: int
    length: int | None
    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxModel:
    """A loaded model and the file it came from. The proto is never changed; edits copy it.

    `path` is as the user gave it. The proto holds all weights; `places` says which are stored
    outside the .onnx file, and `sidecars` has the digests of the files that hold them. `sha256` is
    the .onnx file's digest, `size_bytes` the size of all files. `real_names` are the names of the
    sidecars where the model's file lies, which may be a link's target; `unused_bytes` names those
    that hold more than tensors. `constants` are inputs that the user gave a value for, which the
    proto holds and the file does not; `has_constant_batch` says that one of them has a row for each
    image in a batch.
    """

    path: Path
    proto: ModelProto
    sha256: str
    size_bytes: int
    places: Mapping[str, Place] = field(default_factory=dict)
    sidecars: Mapping[str, str] = field(default_factory=dict)
    real_names: Mapping[str, str] = field(default_factory=dict)
    constants: frozenset[str] = frozenset()
    has_constant_batch: bool = False
    unused_bytes: tuple[str, ...] = ()

    @property
    def files(self) -> frozenset[Path]:
        """Every file that holds a part of the model, with symbolic links resolved."""
        resolved = self.path.resolve()
        return frozenset({resolved, *(resolved.parent / name for name in self.real_names.values())})

    @property
    def opset(self) -> int:
        """Version of the default operator set."""
        versions = [entry.version for entry in self.proto.opset_import if entry.domain == ""]
        return max(versions, default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantParams:
    """How integers stand for real numbers: (number - zero point) · product of the scales.

    Scales and zero point are names of tensors in the graph. A tensor with several numbers has one
    for each index of `axis`, or for each block of `block_size` indices. Where an operator packs
    rows of `packed_width` numbers into bytes, each number has `packed_bits`.
    """

    scales: tuple[str, ...]
    zero_point: str | None
    axis: int = 0
    block_size: int = 0
    packed_bits: int = 0
    packed_width: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierHead:
    """The last learned layer: logits = features · weight (+ bias), with one row for each class.

    `class_axis` is the weight's axis that counts classes. The operator multiplies the weight by
    `weight_scale` and the bias by `bias_scale` (Gemm's alpha and beta). `features` and `logits`
    name the layer's input and output: [N, D] and [N, K], for a 1x1 Conv followed by spatial axes.
    `scores` names the last tensor before a softmax or the like, after any pooling; `is_clamped`
    says that a ReLU, Clip or another function with a lower bound follows the head, `is_capped` one
    with an upper bound, `is_separate` that a sigmoid follows, so that each score is read by itself.
    `output` names the graph output, or the inner tensor that an output is chosen from.

    Logits count classes along `logits_axis`, from the last. `is_normalized`: the graph divides each
    row by its length; it multiplies stored rows by `row_scales`. Class k has row `rows[k]`, -1 if
    its score is a constant; without `rows`, its own. `scales` and `offsets` are the factors and
    summands between logits and scores, of each class or one for all. `parts` are further heads
    whose scores are added to this one's.

    In a quantized model, quantization parameters say what a tensor's integers stand for; they are
    None for floats. By `weight_rounding`, the graph rounds a weight of floats on each run.
    `score_quant_params` are those by which the scores are rounded, nearest to the output first: no
    score can be below the lowest number of any of them.
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
    weight_rounding: QuantParams | None = None
    bias_quant_params: QuantParams | None = None
    feature_quant_params: QuantParams | None = None
    scores_quant_params: QuantParams | None = None
    score_quant_params: tuple[QuantParams, ...] = ()
    weight_scale: float = 1.0
    is_separate: bool = False
    is_capped: bool = False
    is_normalized: bool = False
    logits_axis: int = -1
    row_scales: tuple[float, ...] = ()
    rows: tuple[int, ...] = ()
    scales: tuple[float, ...] = ()
    offsets: tuple[float, ...] = ()
    parts: tuple["ClassifierHead", ...] = ()

    @property
    def all_parts(self) -> tuple["ClassifierHead", ...]:
        """This head, and those whose scores are added to its."""
        return (self, *self.parts)

    @property
    def is_plain(self) -> bool:
        """Whether logits are scores, each with a row of its own."""
        is_bare = not (self.is_normalized or self.row_scales or self.parts)
        return is_bare and not (self.rows or self.scales or self.offsets)

    @property
    def has_steps(self) -> bool:
        """Whether the weight is stored as integers, or the graph rounds it to integers."""
        return (self.weight_quant_params or self.weight_rounding) is not None

    @property
    def computed_classes(self) -> tuple[int, ...]:
        """The classes with a row in some part; the scores of the others are constants."""
        return tuple(
            index
            for index in range(self.num_classes)
            if any(not part.rows or part.rows[index] >= 0 for part in self.all_parts)
        )
