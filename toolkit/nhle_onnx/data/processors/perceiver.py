"""Perceiver: cropped to a share of the shorter side, and only then resized."""

from nhle_onnx.data.processors.fields import Fields
from nhle_onnx.data.processors.hugging_face import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Defaults,
    finish,
    read_crop,
)
from nhle_onnx.values.preprocess import Preprocess

DEFAULTS = {
    "Perceiver": Defaults(size=224, resample=3, crop=256, mean=IMAGENET_MEAN, std=IMAGENET_STD)
}


def parse(fields: Fields, defaults: Defaults) -> Preprocess:
    """Parse the file of this processor."""
    size = fields.take_box("size", defaults.size)
    crop = read_crop(fields, defaults)
    share = (size[0] / crop[0], size[1] / crop[1]) if crop else None
    if not fields.take_flag("do_resize", default=True):
        fields.refuse("do_resize")  # every image would keep a size of its own
    return finish(fields, defaults, size=size, crop_share=share)
