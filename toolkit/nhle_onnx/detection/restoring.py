"""Class channels put back: what a detector then detects is in its features."""

from copy import deepcopy

from onnx import ModelProto

from nhle_onnx.graph.head.head import Head
from nhle_onnx.values.detector import Detector


def restore_channels(edited: ModelProto, detector: Detector, original: ModelProto) -> ModelProto:
    """Return a copy of an edited detector with the original's class channels."""
    restored = deepcopy(edited)
    for layer in detector.layers:
        Head(restored, layer.head).write_rows(Head(original, layer.head).own_rows)
    return restored
