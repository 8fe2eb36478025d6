"""Unmasking: the original's class channels, put on the features of each detector."""

from nhle_onnx.auditing.detection.context import DetectorContext, DetectorTarget
from nhle_onnx.auditing.measures import make_measure
from nhle_onnx.detection.restoring import restore_channels
from nhle_onnx.graph.head.head import Head
from nhle_onnx.values.audit import Measure


def attack_by_unmasking(context: DetectorContext) -> tuple[Measure, ...]:
    """Attack with the original's class channels. No image was needed, so all are for judging."""
    original = context.targets["original"]
    everything = range(len(context.shown))
    found = {
        role: context.measure(
            role,
            restore_channels(
                target.model.proto, target.detector, original.model.proto, original.detector
            ),
            everything,
        ).ap_f
        for role, target in context.targets.items()
        if _fits(target, original)
    }
    title = "AP_F with the original's class channels"
    return (make_measure("unmasking", "ap_f", title, found, places=False),)


def _fits(target: DetectorTarget, original: DetectorTarget) -> bool:
    shapes = [
        [Head(each.model.proto, layer.head).read().weight.shape for layer in each.detector.layers]
        for each in (target, original)
    ]
    return shapes[0] == shapes[1]
