"""What lies between heads and a tensor, as arithmetic on classes.

While a tensor is a sum of heads, each with a factor and an offset for each class, these are
tracked. Behind a bend (any other increasing function), only steps that keep the order of all scores
are allowed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.shapes import Shape, Shapes
from nhle_onnx.values.model import ClassifierHead, QuantParams

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

NO_ROW = -1  # of a class whose score a part does not compute


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One head's contribution to the scores: for class k, `scales[k]` times the score of row
    `rows[k]`, plus `offsets[k]`.
    """

    head: ClassifierHead
    rows: Indices
    scales: Floats
    offsets: Floats


@dataclass(frozen=True, kw_only=True)
class Trail:
    """What was found on the way from heads to `tensor`, whose classes lie along `axis`, counted
    from the last axis; None if that is not known.

    `scores` names the last tensor before a softmax or the like. `bend` is the operator behind which
    scores are no longer a sum of heads; `is_frozen` says that `scores` lies before it. `stacked` is
    the axis along which several heads lie. `limits` are the quantization parameters that round the
    scores, nearest to the output first.

    `is_matrix`: each head gives one score for each class, without a map; `is_pooled`: a node
    reduces the map. `is_normalized`: a softmax or the like came before. `is_positive`: no score is
    below 0. `is_clamped`, `is_capped` and `is_separate` are those of `ClassifierHead`.
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
        """Convert an operator's axis to one counted from the last; None if the rank is unknown."""
        if axis < 0:
            return axis
        return None if self.shape is None else axis - len(self.shape)

    def counts_classes_along(self, axis: int) -> bool:
        """Whether an operator's axis is that of the classes."""
        return self.axis is not None and self.count_from_end(axis) == self.axis

    def shares_along(self, axes: Sequence[int]) -> bool:
        """Whether a reduction along `axes`, () for all, gives one number for all classes of an
        image. Unknown axes are taken to do so.
        """
        places = [self.count_from_end(axis) for axis in axes]
        return not places or self.axis is None or None in places or self.axis in places

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
