"""Unmasking: the original's class channels, put on the features of each detector."""

from nhle_onnx.auditing.context import CannotRunError
from nhle_onnx.auditing.detection.context import DetectorContext, DetectorTarget
from nhle_onnx.auditing.measures import make_measure
from nhle_onnx.detection.restoring import find_lost_channel, restore_channels
from nhle_onnx.graph.head.head import Head
from nhle_onnx.text import explain_lost
from nhle_onnx.values.audit import Measure


def attack_by_unmasking(context: DetectorContext) -> tuple[Measure, ...]:
    """Attack with the original's class channels. No image was needed, so all are for judging.

    Raises CannotRunError where they cannot be put back in the edited detector.
    """
    original = context.targets["original"]
    everything = range(len(context.shown))
    found = {}
    for role, target in context.targets.items():
        if not _fits(target, original):
            continue
        source = (original.model.proto, original.detector)
        restored = restore_channels(target.model.proto, target.detector, *source)
        lost = find_lost_channel(restored, target.detector, *source)
        if lost is None:
            found[role] = context.measure(role, restored, everything).ap_f
        elif role == "edited":
            raise CannotRunError(explain_lost("channel", lost), leaves_gap=True)
    title = "AP_F with the original's class channels"
    return (make_measure("unmasking", "ap_f", title, found, places=False),)


def _fits(target: DetectorTarget, original: DetectorTarget) -> bool:
    shapes = [
        [Head(each.model.proto, layer.head).read().weight.shape for layer in each.detector.layers]
        for each in (target, original)
    ]
    return shapes[0] == shapes[1]
