"""Class layers of a detector: for each class the channel that computes it."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nhle_onnx.detection.channels import Effect
from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.values.detector import (
    ClassLayer,
    ScoreTensor,
)
from nhle_onnx.values.model import ClassifierHead, OnnxModel

SIDES = 4  # numbers of a box
_REMEDY = (
    "Export the detector with its boxes decoded: one output with boxes and scores, or one of each, "
    "with or without NonMaxSuppression behind them."
)

Array = npt.NDArray[np.float32]
FindLabels = Callable[[int], bool]


class Place(NamedTuple):
    """A tensor, and its axis of classes or of a box's numbers."""

    name: str
    axis: int


def sort_channels(
    model: OnnxModel,
    scores: Place,
    effects: Sequence[Effect],
    span: tuple[int, int],
    found: Mapping[str, Array],
    knows: FindLabels,
) -> tuple[ScoreTensor, tuple[ClassLayer, ...]]:
    """Tell class channels from those of objectness, background and boxes."""
    columns = range(*span)
    objectness = _find_objectness(effects, columns, knows)
    background = None
    if objectness is None and not knows(len(columns)) and knows(len(columns) - 1):
        background = _find_background(found[scores.name], scores.axis)
    kept = tuple(column for column in columns if column not in {objectness, background})
    tensor = ScoreTensor(
        name=scores.name,
        axis=scores.axis,
        columns=kept,
        background=background,
        objectness=objectness,
    )
    layers = _group(model, effects, tensor, found)
    return tensor, layers


def compete(effects: Sequence[Effect], tensor: ScoreTensor) -> bool:
    """Whether a channel that raises one class lowers others."""
    classes = {*tensor.columns}
    own = [each for each in effects if len(each.raises) == 1 and each.raises <= classes]
    return any(each.lowers & classes for each in own)


def _find_objectness(effects: Sequence[Effect], columns: range, knows: FindLabels) -> int | None:
    """Return the column of an objectness that the graph does not multiply into the scores itself.

    It is the first column, if its layer computes boxes as well, or nothing else.
    """
    first = columns.start
    own = [each for each in effects if each.raises == {first}]
    if first != SIDES or not own or knows(len(columns)):
        return None
    if knows(len(columns) - 1):
        return first
    names = {each.layer.logits for each in own}
    beside = [each for each in effects if each.layer.logits in names and each not in own]
    has_box = any((each.raises | each.lowers) & set(range(SIDES)) for each in beside)
    return first if has_box or not beside else None


def _find_background(scores: Array, axis: int) -> int:
    """Return the class that wins nearly everywhere on noise: the first one or the last."""
    rows = np.moveaxis(scores[0], axis - 1, 1)
    last = rows.shape[1] - 1
    return 0 if (rows[:, 0] > rows[:, last]).mean() > 0.5 else last  # noqa: PLR2004 - most


def _group(
    model: OnnxModel, effects: Sequence[Effect], tensor: ScoreTensor, found: Mapping[str, Array]
) -> tuple[ClassLayer, ...]:
    """Return the layers, one for each scale and anchor shape, with a channel for each class."""
    wanted = {column: index for index, column in enumerate(tensor.columns)}
    groups: dict[tuple[str, tuple[int, ...]], dict[int, Effect]] = defaultdict(dict)
    backgrounds: dict[tuple[str, tuple[int, ...]], int] = {}
    for effect in effects:
        key = (effect.layer.logits, effect.anchors)
        raised = effect.raises & (wanted.keys() | {tensor.background})
        if raised == {tensor.background} or (not raised and effect.lowers >= wanted.keys()):
            backgrounds[key] = effect.channel
        elif len(raised) == 1 and effect.raises == raised:
            groups[key][wanted[next(iter(raised))]] = effect
    layers = [
        _make_layer(model, channels, key[1], backgrounds.get(key), found[key[0]].shape)
        for key, channels in groups.items()
        if len(channels) == len(wanted)
    ]
    covered = sum(len(range(*layer.anchors.indices(2**31))) for layer in layers)
    anchors = found[tensor.name].shape[3 - tensor.axis]
    if covered != anchors:
        raise refuse(
            model,
            f"a channel of its own for each of {len(wanted)} classes was found at {covered} of "
            f"{anchors} locations",
        )
    return tuple(sorted(layers, key=lambda layer: (layer.start, layer.step)))


def _make_layer(
    model: OnnxModel,
    channels: Mapping[int, Effect],
    anchors: tuple[int, ...],
    background: int | None,
    shape: tuple[int, ...],
) -> ClassLayer:
    effect = channels[0]
    rows = [channels[index].channel for index in range(len(channels))]
    rows += [] if background is None else [background]
    steps = set(np.diff(anchors).tolist())
    extents = [*shape[1:]]
    del extents[effect.layer.logits_axis % len(shape) - 1]
    if len(steps) > 1 or int(np.prod(extents)) != len(anchors):
        raise refuse(model, f"the locations of {effect.layer.logits} are not anchors in order")
    return ClassLayer(
        head=_with_rows(effect.layer, rows),
        extents=tuple(extents),
        start=anchors[0],
        step=next(iter(steps), 1),
    )


def _with_rows(layer: ClassifierHead, rows: Sequence[int]) -> ClassifierHead:
    """Return the layer with the classes' channels as its rows."""
    width = layer.feature_dim
    return replace(
        layer,
        num_classes=len(rows),
        feature_dim=width,
        rows=() if [*rows] == [*range(layer.num_classes)] else tuple(rows),
        is_separate=True,
    )


def refuse(model: OnnxModel, why: str) -> UnsupportedModelError:
    """Return the error that names what does not fit."""
    return UnsupportedModelError(f"{model.path} is a detector, but {why}", remedy=_REMEDY)
