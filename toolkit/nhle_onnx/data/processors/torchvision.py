"""torchvision's `ImageClassification`, the preset of its weights, with its arguments as fields."""

from nhle_onnx.data.processors.fields import Fields
from nhle_onnx.data.processors.hugging_face import IMAGENET_MEAN, IMAGENET_STD
from nhle_onnx.values.preprocess import Preprocess

MARKS = frozenset({"resize_size", "crop_size"})


def parse(fields: Fields) -> Preprocess:
    """Parse the arguments: the shortest edge, a centre crop, 0 to 1, then mean and std."""
    fields.take("antialias")  # concerns tensors only
    edge, other = fields.take_box("resize_size", 256)
    is_edge = edge == other and not _has_two(fields)
    return Preprocess(
        source=fields.source,
        size=None if is_edge else (edge, other),
        shortest_edge=edge if is_edge else None,
        resample=fields.take_resample("interpolation", "bilinear"),
        crop=fields.take_box("crop_size", 224),
        centre="round",
        mean=fields.take_numbers("mean", IMAGENET_MEAN),
        std=fields.take_numbers("std", IMAGENET_STD),
    )


def _has_two(fields: Fields) -> bool:
    """Whether both sides are given, which squashes."""
    size = fields.take("resize_size")
    return isinstance(size, list) and len(size) > 1
