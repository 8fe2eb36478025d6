"""ViT and those like it: squashed to height × width, never cropped."""

from nhle_onnx.data.processors.fields import Fields
from nhle_onnx.data.processors.hugging_face import (
    CLIP_MEAN,
    CLIP_STD,
    IMAGENET_MEAN,
    IMAGENET_STD,
    SQUARE,
    Defaults,
    finish,
)
from nhle_onnx.values.preprocess import Preprocess

DEFAULTS = {
    "ViT": SQUARE,
    "Siglip": Defaults(size=224, resample=3),
    "Segformer": Defaults(size=512, resample=2, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    "Pvt": Defaults(size=224, resample=2, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    "Blip": Defaults(size=384, resample=3, mean=CLIP_MEAN, std=CLIP_STD),
}


def parse(fields: Fields, defaults: Defaults) -> Preprocess:
    """Parse the file of such a processor."""
    return finish(fields, defaults, size=fields.take_box("size", defaults.size))
