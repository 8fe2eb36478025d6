"""ConvNeXt, ResNet and RegNet: below 384 a larger shortest edge and a crop, from there squashed."""

from nhle_onnx.data.processors.fields import Fields
from nhle_onnx.data.processors.hugging_face import Defaults, finish
from nhle_onnx.values.preprocess import Preprocess

_SQUASHED_FROM = 384
DEFAULTS = {"ConvNext": Defaults(size=384, resample=2)}


def parse(fields: Fields, defaults: Defaults) -> Preprocess:
    """Parse the file of this processor."""
    edge = fields.take_edge("size", defaults.size)
    share = float(fields.take("crop_pct", 224 / 256))
    if not isinstance(edge, int):
        fields.refuse("size")  # the processor refuses it, too
    square = (edge, edge)
    if edge >= _SQUASHED_FROM:
        return finish(fields, defaults, size=square)
    # here, without a resize there is no crop
    crop = square if fields.take_flag("do_resize", default=True) else None
    return finish(fields, defaults, shortest_edge=int(edge / share), crop=crop)
