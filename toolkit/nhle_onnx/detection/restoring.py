"""Class channels put back: what a detector then detects is in its features."""

from copy import deepcopy

from onnx import ModelProto

from nhle_onnx.graph.head.head import Head
from nhle_onnx.values.detector import Detector


def restore_channels(
    edited: ModelProto, detector: Detector, original: ModelProto, source: Detector | None = None
) -> ModelProto:
    """Return a copy of an edited detector with the original's class channels, which `source` finds
    if the original's graph has other names.
    """
    restored = deepcopy(edited)
    for ours, theirs in zip(detector.layers, (source or detector).layers, strict=True):
        Head(restored, ours.head).write_rows(Head(original, theirs.head).own_rows)
    return restored
