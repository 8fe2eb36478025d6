"""What a detector's class channels read at the locations that an attacker looks at."""

import numpy as np
from onnx import ModelProto

from nhle_onnx.auditing.context import Array, CannotRunError
from nhle_onnx.auditing.detection.context import Evidence, Locations
from nhle_onnx.auditing.detection.windows import Window, find_window, gather_windows
from nhle_onnx.data.boxes.scenes import SceneSource
from nhle_onnx.graph.subgraph import expose_tensors
from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.detector import ClassLayer, Detector
from nhle_onnx.values.kernels import Kernels
from nhle_onnx.values.places import Provider
from nhle_onnx.values.preprocess import ImageInput
from nhle_onnx.values.request import ForgetRequest

_PIECE = 8  # images at once


def collect_evidence(
    proto: ModelProto,
    detector: Detector,
    target: ImageInput,
    scenes: SceneSource,
    locations: tuple[Locations, ...],
    request: ForgetRequest,
    provider: Provider,
    kernels: Kernels,
) -> tuple[Evidence, ...]:
    """Return what each layer has at its locations; nothing where whole numbers stand for it.

    Raises CannotRunError where it is not finite.
    """
    layers = detector.layers
    if any(layer.head.feature_quant_params for layer in layers):
        return ()
    names = tuple(
        dict.fromkeys(name for each in layers for name in (each.head.features, each.head.logits))
    )
    session = open_session(expose_tensors(proto, *names), provider, kernels)
    windows = [find_window(proto, layer) for layer in layers]
    parts: list[list[Evidence]] = [[] for _ in layers]
    for start in range(0, len(scenes.boxes), _PIECE):
        piece = range(start, min(start + _PIECE, len(scenes.boxes)))
        images = scenes.choose(piece).read()
        maps = dict(zip(names, session.run_several(names, images, target, _PIECE), strict=True))
        for found, layer, window, given in zip(parts, layers, windows, locations, strict=True):
            here = choose_images(given, piece)
            found.append(
                Evidence(
                    _read_features(maps[layer.head.features], layer, window, here),
                    _measure_rivals(maps[layer.head.logits], layer, here, request, detector),
                )
            )
    return tuple(_join(each) for each in parts)


def choose_images(locations: Locations, images: range) -> Locations:
    """Return the locations in some images, counted from the first of these."""
    chosen = (locations.images >= images.start) & (locations.images < images.stop)
    here = locations.choose(chosen)
    return here._replace(images=here.images - images.start)


def _join(parts: list[Evidence]) -> Evidence:
    joined = Evidence(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    if not np.isfinite(joined.features).all():
        raise CannotRunError("the features are not finite, so they cannot be used")
    return joined


def _read_features(
    features: Array, layer: ClassLayer, window: Window | None, locations: Locations
) -> Array:
    """Return the features under each location as its channels read them, [M, D]."""
    if window is not None:
        return gather_windows(features, window, layer.extents, locations)
    return _spread(features, layer)[locations.images, locations.places]


def _measure_rivals(
    logits: Array,
    layer: ClassLayer,
    locations: Locations,
    request: ForgetRequest,
    detector: Detector,
) -> Array:
    """Return the log of what all classes but the forgotten ones have in a softmax; 0 where scores
    do not compete.
    """
    if not detector.competes:
        return np.zeros(len(locations.places), np.float32)
    found = _spread(logits, layer)[locations.images, locations.places]
    own = found[:, list(layer.head.rows or range(layer.head.num_classes))]
    rivals: Array = np.logaddexp.reduce(np.delete(own, list(request.forget), 1), 1)
    return rivals


def _spread(found: Array, layer: ClassLayer) -> Array:
    """Return a layer's map with one row for each location, [N, locations, channels]."""
    last = np.moveaxis(found, layer.head.logits_axis, -1)
    return last.reshape(len(found), -1, last.shape[-1])
