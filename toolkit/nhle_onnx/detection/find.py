"""Finding a detector: its boxes, its scores, and the channels that compute each class's."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, ValueInfoProto

from nhle_onnx.detection.channels import Effect, trace_channels
from nhle_onnx.detection.layers import find_frontier
from nhle_onnx.errors import NhleOnnxError, UnsupportedModelError
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.subgraph import expose_tensors
from nhle_onnx.runtime.noise import make_noise
from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.detector import (
    Activation,
    BoxForm,
    BoxTensor,
    ClassLayer,
    Detector,
    ScoreTensor,
)
from nhle_onnx.values.model import ClassifierHead, OnnxModel
from nhle_onnx.values.preprocess import ImageInput

_RANK = 3
_SIDES = 4
_BOX_NAME = re.compile(r"box|loc|coord|rect", re.IGNORECASE)
_FEW = 2.0  # boxes in fractions of the image do not go far beyond it
_ORDERED = 0.999
_REMEDY = (
    "Export the detector with its boxes decoded: one output with boxes and scores, or one of each, "
    "with or without NonMaxSuppression behind them."
)

Array = npt.NDArray[np.float32]
FindLabels = Callable[[int], bool]


class _Place(NamedTuple):
    """A tensor, and its axis of classes or of a box's numbers."""

    name: str
    axis: int


def has_boxes(model: OnnxModel) -> bool:
    """Whether a graph says itself that it detects: it suppresses boxes, or gives some."""
    graph = model.proto.graph
    shapes = [_read_shape(value) for value in graph.output]
    is_pair = len([shape for shape in shapes if len(shape) == _RANK]) > 1 and any(
        len(shape) == _RANK and shape[-1] == _SIDES for shape in shapes
    )
    return _find_suppression(model.proto) is not None or is_pair


def may_detect(model: OnnxModel) -> bool:
    """Whether a graph's only output may hold boxes with scores, as a classifier's does not."""
    shapes = [_read_shape(value) for value in model.proto.graph.output]
    return len(shapes) == 1 and len(shapes[0]) == _RANK and not _is_classifier(model)


def find_detector(model: OnnxModel, target: ImageInput, knows: FindLabels) -> Detector:
    """Find where boxes, scores and classes of a detector are.

    `knows` says whether the model's labels are so many. Raises UnsupportedModelError, which names
    what does not fit.
    """
    noise = make_noise(target, target.batch or 1)
    boxes, scores, node = _find_tensors(model, target, noise)
    frontier = find_frontier(model.proto, scores.name)
    if not frontier.layers:
        reasons = "; ".join(frontier.reasons) or "nothing learned stands before it"
        raise _refuse(model, f"no layer computes the scores {scores.name}: {reasons}")
    names = tuple(layer.logits for layer in frontier.layers)
    wanted = tuple(dict.fromkeys((*names, scores.name, boxes.name)))
    session = open_session(expose_tensors(model.proto, *wanted), "cpu").native
    computed = session.run(list(wanted), {target.name: noise.astype(target.dtype)})
    found = dict(zip(wanted, computed, strict=True))
    effects = trace_channels(
        model.proto, frontier.layers, scores.name, scores.axis, {**found, target.name: noise}
    )
    columns = found[scores.name].shape[scores.axis]
    first = _SIDES if boxes.name == scores.name else 0
    tensor, layers = _sort_channels(model, scores, effects, (first, columns), found, knows)
    competes = _compete(effects, tensor)
    return Detector(
        layers=layers,
        scores=replace(
            tensor, activation=_find_activation(tensor, found[tensor.name], competes=competes)
        ),
        boxes=_read_boxes(boxes, node, found[boxes.name], is_fused=first > 0),
        num_classes=len(tensor.columns),
        competes=competes or tensor.background is not None,
        suppresses=node is not None,
    )


def _find_tensors(
    model: OnnxModel, target: ImageInput, noise: Array
) -> tuple[_Place, _Place, NodeProto | None]:
    """Return where boxes and scores are, and the NonMaxSuppression that reads them, if any."""
    node = _find_suppression(model.proto)
    if node is not None:
        return _Place(node.input[0], 2), _Place(node.input[1], 1), node
    names = [value.name for value in model.proto.graph.output]
    outputs = open_session(model.proto, "cpu").native.run(
        names, {target.name: noise.astype(target.dtype)}
    )
    shapes = {name: output.shape for name, output in zip(names, outputs, strict=True)}
    ranked = {name: shape for name, shape in shapes.items() if len(shape) == _RANK}
    pairs = [
        (_Place(box, 2), _Place(score, 2))
        for box, extents in ranked.items()
        for score, others in ranked.items()
        if box != score and extents[2] == _SIDES and extents[1] == others[1]
    ]
    named = [pair for pair in pairs if _BOX_NAME.search(pair[0].name)]
    if pairs and (len(pairs) == 1 or len(named) == 1):  # scores may have four columns, too
        return (*(named or pairs)[0], None)
    if len(ranked) == 1 and not pairs:
        name, extents = next(iter(ranked.items()))
        if min(extents[1:]) > _SIDES:
            axis = 1 if extents[1] < extents[2] else 2
            return _Place(name, axis), _Place(name, axis), None
    shown = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
    raise _refuse(model, f"its outputs are not decoded boxes with scores: {shown}")


def _sort_channels(
    model: OnnxModel,
    scores: _Place,
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


def _compete(effects: Sequence[Effect], tensor: ScoreTensor) -> bool:
    """Whether a channel that raises one class lowers others."""
    classes = {*tensor.columns}
    own = [each for each in effects if len(each.raises) == 1 and each.raises <= classes]
    return any(each.lowers & classes for each in own)


def _find_objectness(effects: Sequence[Effect], columns: range, knows: FindLabels) -> int | None:
    """Return the column of an objectness that is not yet multiplied into the scores: the first one,
    where it comes with the box, from the same layer or from one of its own.
    """
    first = columns.start
    own = [each for each in effects if each.raises == {first}]
    if first != _SIDES or not own or knows(len(columns)):
        return None
    if knows(len(columns) - 1):
        return first
    names = {each.layer.logits for each in own}
    beside = [each for each in effects if each.layer.logits in names and each not in own]
    has_box = any((each.raises | each.lowers) & set(range(_SIDES)) for each in beside)
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
        raise _refuse(
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
        raise _refuse(model, f"the locations of {effect.layer.logits} are not anchors in order")
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


def _find_activation(tensor: ScoreTensor, scores: Array, *, competes: bool) -> Activation:
    values = np.moveaxis(scores[0], tensor.axis - 1, 0)[[*tensor.columns]]
    if values.min() >= 0 and values.max() <= 1:
        return "none"
    return "softmax" if competes or tensor.background is not None else "sigmoid"


def _read_boxes(
    place: _Place, node: NodeProto | None, boxes: Array, *, is_fused: bool
) -> BoxTensor:
    """Say how four numbers are a box: as the operator that reads them says, else as they are."""
    numbers = np.moveaxis(boxes[0], place.axis - 1, 0)[:_SIDES]
    form: BoxForm = "centre"
    if node is not None:
        is_centre = any(item.name == "center_point_box" and item.i for item in node.attribute)
        form = "centre" if is_centre else "corners-yx"
    elif not is_fused:
        ordered = ((numbers[2] >= numbers[0]) & (numbers[3] >= numbers[1])).mean()
        form = "corners" if ordered > _ORDERED else "centre"
    return BoxTensor(
        name=place.name,
        axis=place.axis,
        form=form,
        is_relative=bool(np.abs(numbers).max() <= _FEW),
    )


def _find_suppression(proto: ModelProto) -> NodeProto | None:
    return next((node for node in proto.graph.node if node.op_type == "NonMaxSuppression"), None)


def _is_classifier(model: OnnxModel) -> bool:
    try:
        find_head(model)
    except NhleOnnxError:
        return False
    return True


def _read_shape(value: ValueInfoProto) -> tuple[int, ...]:
    return tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)


def _refuse(model: OnnxModel, why: str) -> UnsupportedModelError:
    return UnsupportedModelError(f"{model.path} is a detector, but {why}", remedy=_REMEDY)
