"""CWM on a detector: the class's channel of every scale."""

from onnx import ModelProto

from nhle_onnx.graph.head.head import Head, HeadRows
from nhle_onnx.unlearning.cwm import CONVEX_MARGIN, LOW_SCORE
from nhle_onnx.values.detector import ClassLayer, Detector
from nhle_onnx.values.request import ForgetRequest, Mask


def mask_channels(
    proto: ModelProto, detector: Detector, request: ForgetRequest, mask: Mask
) -> None:
    """Mask the class's channels, in place.

    `floor`: zero weights and a bias of -30. `convex`: the row of the background that competes, and
    its bias less a margin, so that the class has e^-10 of the background's probability at most.
    """
    for layer in detector.layers:
        head = Head(proto, layer.head)
        rows = head.own_rows
        for index in request.forget:
            _fill(rows, index, detector, mask)
        head.write_rows(rows)


def resolve_channel_mask(mask: Mask, detector: Detector, *, has_steps: bool) -> Mask:
    """Return what `auto` stands for: convex where a background competes, in floats; else floor."""
    if mask != "auto":
        return mask
    return "convex" if detector.competes and detector.has_background and not has_steps else "floor"


def list_own(layers: tuple[ClassLayer, ...]) -> frozenset[str]:
    """List the names of tensors that hold class channels."""
    return frozenset(
        name for layer in layers for name in (layer.head.weight, layer.head.bias) if name
    )


def _fill(rows: HeadRows, index: int, detector: Detector, mask: Mask) -> None:
    if mask == "convex":
        background = rows.weight[detector.num_classes], rows.bias[detector.num_classes]
        rows.weight[index], rows.bias[index] = background[0], background[1] - CONVEX_MARGIN
    else:
        rows.weight[index], rows.bias[index] = 0, LOW_SCORE
