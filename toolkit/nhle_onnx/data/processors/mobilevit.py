"""MobileViT: the shortest edge, a centre crop, blue first; never normalized."""

from nhle_onnx.data.processors.fields import Fields
from nhle_onnx.data.processors.hugging_face import Defaults, read_crop, read_edge, read_scale
from nhle_onnx.values.preprocess import Preprocess

DEFAULTS = {"MobileViT": Defaults(size=224, resample=2, crop=256)}


def parse(fields: Fields, defaults: Defaults) -> Preprocess:
    """Parse the file of this processor."""
    geometry = read_edge(fields, defaults)
    if not fields.take_flag("do_resize", default=True):
        geometry = {}
    return Preprocess(
        source=fields.source,
        upright=True,
        resample=fields.take_resample("resample", defaults.resample),
        **geometry,
        crop=read_crop(fields, defaults),
        channels="bgr" if fields.take_flag("do_flip_channel_order", default=True) else "rgb",
        scale=read_scale(fields),
    )
