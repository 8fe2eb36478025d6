"""Finding a detector: its boxes, its scores, and the channels that compute each class's."""

import re
from dataclasses import replace
from math import prod

import numpy as np
from onnx import ModelProto, NodeProto, ValueInfoProto

from nhle_onnx.detection.channels import trace_channels
from nhle_onnx.detection.class_layers import (
    SIDES,
    Array,
    FindLabels,
    Place,
    compete,
    refuse,
    sort_channels,
)
from nhle_onnx.detection.layers import find_frontier
from nhle_onnx.errors import NhleOnnxError
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.subgraph import expose_tensors
from nhle_onnx.runtime.noise import make_noise
from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.detector import (
    Activation,
    BoxForm,
    BoxTensor,
    Detector,
    ScoreTensor,
)
from nhle_onnx.values.model import OnnxModel
from nhle_onnx.values.preprocess import ImageInput

_RANK = 3
_BOX_NAME = re.compile(r"box|loc|coord|rect", re.IGNORECASE)
_FEW = 2.0  # boxes in fractions of the image do not go far beyond it
_ORDERED = 0.999
_LOCATION_AXES = {2: 1, 3: 2, 4: 2}  # of a map without its batch axis: how many count locations
_LEAST_GROWTH, _MOST_GROWTH = 3.0, 5.0  # of locations from one scale to the next


def has_boxes(model: OnnxModel) -> bool:
    """Whether a graph itself shows that it detects: it suppresses boxes, or outputs some."""
    graph = model.proto.graph
    shapes = [_read_shape(value) for value in graph.output]
    is_pair = len([shape for shape in shapes if len(shape) == _RANK]) > 1 and any(
        len(shape) == _RANK and shape[-1] == SIDES for shape in shapes
    )
    return _find_suppression(model.proto) is not None or is_pair


def may_detect(model: OnnxModel) -> bool:
    """Whether a graph's only output of three axes may hold boxes with scores, as a classifier's
    does not. Beside it, there may be the maps that these are decoded from.
    """
    ranks = [len(_read_shape(value)) for value in model.proto.graph.output]
    is_alone = ranks.count(_RANK) == 1 and min(ranks) == _RANK
    return is_alone and not _is_classifier(model)


def decodes_outside(model: OnnxModel) -> bool:
    """Whether a graph without a classifier's head ends in maps of several scales, as detectors do
    whose boxes another program computes. They differ in how many locations they have, each about
    four times as many as the next.
    """
    shapes = [_read_shape(value)[1:] for value in model.proto.graph.output]
    maps = sorted((shape for shape in shapes if len(shape) in _LOCATION_AXES), key=prod)
    return any(map(_are_scales, maps, maps[1:])) and not _is_classifier(model)


def _are_scales(small: tuple[int, ...], large: tuple[int, ...]) -> bool:
    differ = sum(few != many for few, many in zip(small, large, strict=False))
    is_form = len(small) == len(large) and differ == _LOCATION_AXES[len(small)]
    return is_form and _LEAST_GROWTH < prod(large) / max(prod(small), 1) < _MOST_GROWTH


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
        raise refuse(model, f"no layer computes the scores {scores.name}: {reasons}")
    names = tuple(layer.logits for layer in frontier.layers)
    wanted = tuple(dict.fromkeys((*names, scores.name, boxes.name)))
    session = open_session(expose_tensors(model.proto, *wanted), "cpu").native
    computed = session.run(list(wanted), {target.name: noise.astype(target.dtype)})
    found = dict(zip(wanted, computed, strict=True))
    effects = trace_channels(
        model.proto, frontier.layers, scores.name, scores.axis, {**found, target.name: noise}
    )
    columns = found[scores.name].shape[scores.axis]
    first = SIDES if boxes.name == scores.name else 0
    tensor, layers = sort_channels(model, scores, effects, (first, columns), found, knows)
    competes = compete(effects, tensor)
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
) -> tuple[Place, Place, NodeProto | None]:
    """Return where boxes and scores are, and the NonMaxSuppression that reads them, if any."""
    node = _find_suppression(model.proto)
    if node is not None:
        return Place(node.input[0], 2), Place(node.input[1], 1), node
    names = [value.name for value in model.proto.graph.output]
    outputs = open_session(model.proto, "cpu").native.run(
        names, {target.name: noise.astype(target.dtype)}
    )
    shapes = {name: output.shape for name, output in zip(names, outputs, strict=True)}
    ranked = {name: shape for name, shape in shapes.items() if len(shape) == _RANK}
    pairs = [
        (Place(box, 2), Place(score, 2))
        for box, extents in ranked.items()
        for score, others in ranked.items()
        if box != score and extents[2] == SIDES and extents[1] == others[1]
    ]
    named = [pair for pair in pairs if _BOX_NAME.search(pair[0].name)]
    if pairs and (len(pairs) == 1 or len(named) == 1):  # scores may have four columns, too
        return (*(named or pairs)[0], None)
    if len(ranked) == 1 and not pairs:
        name, extents = next(iter(ranked.items()))
        if min(extents[1:]) > SIDES:
            axis = 1 if extents[1] < extents[2] else 2
            return Place(name, axis), Place(name, axis), None
    shown = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
    raise refuse(model, f"its outputs are not decoded boxes with scores: {shown}")


def _find_activation(tensor: ScoreTensor, scores: Array, *, competes: bool) -> Activation:
    values = np.moveaxis(scores[0], tensor.axis - 1, 0)[[*tensor.columns]]
    if values.min() >= 0 and values.max() <= 1:
        return "none"
    return "softmax" if competes or tensor.background is not None else "sigmoid"


def _read_boxes(place: Place, node: NodeProto | None, boxes: Array, *, is_fused: bool) -> BoxTensor:
    """Say how four numbers are a box: as the operator that reads them says, else as they are."""
    numbers = np.moveaxis(boxes[0], place.axis - 1, 0)[:SIDES]
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
