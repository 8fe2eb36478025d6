"""A detector: where its classes are computed, and how its tensors are read."""

from dataclasses import dataclass
from typing import Literal

from nhle_onnx.values.model import ClassifierHead

BoxForm = Literal["centre", "corners", "corners-yx"]
Activation = Literal["none", "sigmoid", "softmax"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLayer:
    """The class channels of one scale, and of one anchor shape where a scale has several.

    `head` maps each class to its channel; where a background class competes, it is the last. The
    layer's map has `extents` locations along its axes. Their scores are those of the anchors from
    `start` on, in steps of `step`.
    """

    head: ClassifierHead
    extents: tuple[int, ...]
    start: int
    step: int

    @property
    def anchors(self) -> slice:
        """The anchors of its locations, in their order."""
        count = 1
        for extent in self.extents:
            count *= extent
        return slice(self.start, self.start + (count - 1) * self.step + 1, self.step)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTensor:
    """The tensor of scores, with three axes. Class k is at index `columns[k]` of `axis`.

    `activation` is what turns its numbers into scores. They are then multiplied by the column
    `objectness`, if there is one.
    """

    name: str
    axis: int
    columns: tuple[int, ...]
    background: int | None = None
    objectness: int | None = None
    activation: Activation = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxTensor:
    """The tensor of boxes, with three axes; the first four numbers along `axis` are a box."""

    name: str
    axis: int
    form: BoxForm
    is_relative: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """A one-stage detector, as its graph is read.

    `competes`: a softmax makes classes compete at a location; otherwise each score stands alone.
    `suppresses`: the graph itself removes overlapping boxes, behind the tensors that are read.
    """

    layers: tuple[ClassLayer, ...]
    scores: ScoreTensor
    boxes: BoxTensor
    num_classes: int
    competes: bool
    suppresses: bool

    @property
    def has_background(self) -> bool:
        """Whether a background class competes with the others."""
        return any(layer.head.num_classes > self.num_classes for layer in self.layers)
