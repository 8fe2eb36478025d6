"""What lies between heads and a tensor, as arithmetic on classes.

While a tensor is a sum of heads, each with a factor and an offset of its own for each class, these
are tracked; behind a bend (any other rising function) only what keeps the order of all is allowed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs
from onnx import ModelProto
from onnx import shape_inference as inference

from nhle_onnx.graph.skeleton import make_skeleton
from nhle_onnx.values.model import ClassifierHead, QuantParams

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Shape = tuple[int | str | None, ...]

NO_ROW = -1  # of a class whose score a part does not compute
_LOWEST = -float(np.finfo(np.float32).max)


class Shapes:
    """The shapes of a graph's tensors: as declared or, if asked for others, as inferred."""

    def __init__(self, proto: ModelProto) -> None:
        self._proto = proto

    def find(self, tensor: gs.Tensor) -> Shape | None:
        """Return a tensor's shape; open axes are names or None."""
        if tensor.shape is not None:
            return tuple(tensor.shape)
        return self._inferred.get(tensor.name)

    @cached_property
    def _inferred(self) -> dict[str, Shape]:
        try:
            graph = inference.infer_shapes(make_skeleton(self._proto), data_prop=True).graph
        except (RuntimeError, ValueError, inference.InferenceError):
            return {}  # a model with operators that it does not know may be valid
        return {
            value.name: tuple(
                axis.dim_value if axis.HasField("dim_value") else None
                for axis in value.type.tensor_type.shape.dim
            )
            for value in graph.value_info
            if value.type.tensor_type.HasField("shape")
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A head's share in the scores: class k has `scales[k]` times its row `rows[k]`, plus
    `offsets[k]`.
    """

    head: ClassifierHead
    rows: Indices
    scales: Floats
    offsets: Floats


@dataclass(frozen=True, kw_only=True)
class Trail:
    """What was found on the way from heads to `tensor`, whose classes lie along `axis`, counted
    from its last; None where that is not known.

    `scores` names the last tensor before a softmax or the like. `bend` is the operator behind which
    scores are no sum of heads any more; `is_frozen` says that `scores` lies before it. `stacked` is
    the axis along which several heads lie. `is_positive` says that no score is below 0.
    `limits` are the quantization parameters that round the scores, nearest to the output first.
    """

    parts: tuple[Part, ...]
    num_classes: int
    axis: int | None
    tensor: gs.Tensor
    shapes: Shapes
    scores: str
    scores_quant_params: QuantParams | None = None
    limits: tuple[QuantParams, ...] = ()
    bend: str = ""
    stacked: int | None = None
    is_frozen: bool = False
    is_matrix: bool = True
    is_pooled: bool = False
    is_clamped: bool = False
    is_capped: bool = False
    is_separate: bool = False
    is_normalized: bool = False
    is_positive: bool = False

    @property
    def shape(self) -> Shape | None:
        """The shape of `tensor`, as far as it is known."""
        return self.shapes.find(self.tensor)

    def count_from_end(self, axis: int) -> int | None:
        """Turn an operator's axis into one that is counted from the last."""
        if axis < 0:
            return axis
        return None if self.shape is None else axis - len(self.shape)

    def counts_classes_along(self, axis: int) -> bool:
        """Whether an operator's axis is that of the classes."""
        return self.axis is not None and self.count_from_end(axis) == self.axis

    def change(self, alter: Callable[[Part], Part]) -> "Trail":
        """Return the trail with every part altered."""
        return replace(self, parts=tuple(map(alter, self.parts)))


def start_trail(head: ClassifierHead, tensor: gs.Tensor, shapes: Shapes) -> Trail:
    """Return the trail of a head's own logits."""
    count = head.num_classes
    part = Part(head=head, rows=np.arange(count), scales=np.ones(count), offsets=np.zeros(count))
    return Trail(
        parts=(part,), num_classes=count, axis=head.logits_axis, tensor=tensor, shapes=shapes,
        scores=tensor.name, limits=head.score_quant_params,
        is_matrix="Conv" not in head.op or _is_point(shapes.find(tensor)),
    )  # fmt: skip


def _is_point(shape: Shape | None) -> bool:
    """Whether a map [N, K, ...] has a single position."""
    return shape is not None and all(extent == 1 for extent in shape[2:])


def make_constant_trail(values: Floats, tensor: gs.Tensor, shapes: Shapes) -> Trail:
    """Return the trail of classes whose scores are constants, which a graph adds to others."""
    part = Part(
        head=_NOTHING,
        rows=np.full(len(values), NO_ROW),
        scales=np.ones(len(values)),
        offsets=values.clip(min=_LOWEST),
    )
    return Trail(
        parts=(part,), num_classes=len(values), axis=None, tensor=tensor, shapes=shapes,
        scores=tensor.name,
    )  # fmt: skip


def scale(trail: Trail, factors: Floats, name: str) -> Trail | str:
    """Multiply each class's score by a constant. A factor of 0 makes the score a constant."""
    if not trail.bend:
        dropped = _drop_rows(trail, factors == 0, 0.0)
        return dropped.change(
            lambda part: replace(part, scales=part.scales * factors, offsets=part.offsets * factors)
        )
    given = factors[factors != 0]
    if not len(given) or given[0] <= 0 or (given != given[0]).any():
        return f"is followed by {name}, which weights the classes behind {trail.bend}"
    scaled = _drop_rows(trail, factors == 0, 0.0)
    if trail.is_frozen or trail.bend not in _HOMOGENEOUS:
        return scaled
    return scaled.change(lambda part: replace(part, scales=part.scales * given[0]))


def negate(trail: Trail, name: str) -> Trail | str:
    """Turn each class's score round."""
    return scale(trail, np.full(trail.num_classes, -1.0), name)


_HOMOGENEOUS = frozenset({"Relu", "LeakyRelu"})  # f(a · z) = a · f(z) for a > 0


def shift(trail: Trail, amounts: Floats, name: str) -> Trail | str:
    """Add a constant to each class's score. Minus infinity makes the score a constant."""
    finite = amounts[amounts > _LOWEST]
    shifted = _drop_rows(trail, amounts <= _LOWEST, _LOWEST)
    if not trail.bend:
        first, *others = shifted.parts
        offsets = np.where(amounts > _LOWEST, first.offsets + amounts, first.offsets)
        return replace(shifted, parts=(replace(first, offsets=offsets), *others))
    if (finite != finite[:1]).any():
        return f"is followed by {name}, which favours classes behind {trail.bend}"
    return replace(shifted, is_positive=trail.is_positive and bool((amounts >= 0).all()))


def hide(trail: Trail, is_hidden: npt.NDArray[np.bool_], value: float) -> Trail:
    """Replace the scores of some classes by a constant."""
    return _drop_rows(trail, is_hidden, value)


def take(trail: Trail, indices: Indices) -> Trail:
    """Return the classes at some places, in their order."""
    taken = trail.change(
        lambda part: replace(
            part,
            rows=part.rows[indices],
            scales=part.scales[indices],
            offsets=part.offsets[indices],
        )
    )
    return replace(taken, num_classes=len(indices))


def add(trails: list[Trail], tensor: gs.Tensor) -> Trail | str:
    """Add scores, class by class."""
    first = trails[0]
    if len({(trail.num_classes, trail.axis) for trail in trails}) > 1:
        return "is added to scores of other classes"
    return _merge(trails, tensor, tuple(part for trail in trails for part in trail.parts), first)


def concatenate(trails: list[Trail], tensor: gs.Tensor) -> Trail | str:
    """Put the classes of several tensors one after the other."""
    bends = {trail.bend for trail in trails if _has_head(trail)}
    if len(bends) > 1:
        return f"is joined with scores that follow other functions: {', '.join(sorted(bends))}"
    sizes = [trail.num_classes for trail in trails]
    starts = np.cumsum([0, *sizes])
    parts: list[Part] = []
    for trail, start in zip(trails, starts, strict=False):
        for part in trail.parts:
            wide = _widen(part, int(start), int(starts[-1]))
            same = next(
                (index for index, each in enumerate(parts) if each.head.logits == part.head.logits),
                None,
            )
            if same is None:
                parts.append(wide)
            else:
                parts[same] = _unite(parts[same], wide)
    heads = [part for part in parts if part.head is not _NOTHING]
    constants = sum((part.offsets for part in parts if part.head is _NOTHING), np.zeros(starts[-1]))
    if not heads:
        return "joins constants only"
    heads[0] = replace(heads[0], offsets=heads[0].offsets + constants)
    first = next(trail for trail in trails if _has_head(trail))
    return replace(
        _merge([trail for trail in trails if _has_head(trail)], tensor, tuple(heads), first),
        num_classes=int(starts[-1]),
    )


def _merge(trails: list[Trail], tensor: gs.Tensor, parts: tuple[Part, ...], first: Trail) -> Trail:
    return replace(
        first,
        parts=parts,
        tensor=tensor,
        scores=tensor.name,
        bend=next((trail.bend for trail in trails if trail.bend), ""),
        is_frozen=False,
        limits=tuple(limit for trail in trails for limit in trail.limits),
        is_matrix=all(trail.is_matrix for trail in trails),
        is_pooled=all(trail.is_pooled for trail in trails),
        is_clamped=any(trail.is_clamped for trail in trails),
        is_capped=any(trail.is_capped for trail in trails),
        is_separate=any(trail.is_separate for trail in trails),
        is_normalized=all(trail.is_normalized for trail in trails),
        is_positive=all(trail.is_positive for trail in trails),
    )


def _has_head(trail: Trail) -> bool:
    return trail.parts[0].head is not _NOTHING


def _widen(part: Part, start: int, count: int) -> Part:
    """Place a part's classes among others."""
    here = slice(start, start + len(part.rows))
    rows, scales, offsets = np.full(count, NO_ROW), np.ones(count), np.zeros(count)
    rows[here], scales[here], offsets[here] = part.rows, part.scales, part.offsets
    return replace(part, rows=rows, scales=scales, offsets=offsets)


def _unite(one: Part, other: Part) -> Part:
    """Unite two slices of one head."""
    is_first = one.rows != NO_ROW
    return replace(
        one,
        rows=np.where(is_first, one.rows, other.rows),
        scales=np.where(is_first, one.scales, other.scales),
        offsets=one.offsets + other.offsets,
    )


def _drop_rows(trail: Trail, is_dropped: npt.NDArray[np.bool_], value: float) -> Trail:
    """Make the scores of some classes a constant."""
    if not is_dropped.any():
        return trail
    first, *others = trail.change(
        lambda part: replace(
            part,
            rows=np.where(is_dropped, NO_ROW, part.rows),
            scales=np.where(is_dropped, 1.0, part.scales),
            offsets=np.where(is_dropped, 0.0, part.offsets),
        )
    ).parts
    first = replace(first, offsets=np.where(is_dropped, max(value, _LOWEST), first.offsets))
    return replace(trail, parts=(first, *others))


_NOTHING = ClassifierHead(
    op="", node="", weight="", bias=None, bias_scale=1.0, class_axis=0, num_classes=0,
    feature_dim=0, features="", logits="", scores="", is_clamped=False, output="",
)  # fmt: skip
