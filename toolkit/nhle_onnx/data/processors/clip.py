"""CLIP and those like it: the shortest edge, then a centre crop."""

from nhle_onnx.data.processors.fields import Fields
from nhle_onnx.data.processors.hugging_face import (
    CLIP_MEAN,
    CLIP_STD,
    Defaults,
    finish,
    read_crop,
    read_edge,
)
from nhle_onnx.values.preprocess import Preprocess

_CLIP = Defaults(size=224, resample=3, crop=224, mean=CLIP_MEAN, std=CLIP_STD)
_MOBILENET = Defaults(size=256, resample=2, crop=224)
DEFAULTS = {
    "CLIP": _CLIP,
    "Bit": _CLIP,
    "MobileNetV1": _MOBILENET,
    "MobileNetV2": _MOBILENET,
}


def parse(fields: Fields, defaults: Defaults) -> Preprocess:
    """Parse the file of such a processor."""
    geometry = read_edge(fields, defaults)
    return finish(fields, defaults, **geometry, crop=read_crop(fields, defaults))
