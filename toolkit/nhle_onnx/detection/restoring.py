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
        Head(restored, ours.head).take_rows(Head(original, theirs.head))
    return restored


def find_lost_channel(
    restored: ModelProto, detector: Detector, original: ModelProto, source: Detector
) -> int | None:
    """Find a class whose channel could not be put back, or None: see `Head.find_lost`."""
    for ours, theirs in zip(detector.layers, source.layers, strict=True):
        lost = Head(restored, ours.head).find_lost(Head(original, theirs.head))
        if lost is not None:
            return lost
    return None
