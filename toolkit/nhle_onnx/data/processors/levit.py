"""LeViT: the shortest edge is 256 / 224 of the size given, then a centre crop."""

from nhle_onnx.data.processors.fields import Fields
from nhle_onnx.data.processors.hugging_face import IMAGENET, Defaults, finish, read_crop, read_edge
from nhle_onnx.values.preprocess import Preprocess

DEFAULTS = {"Levit": IMAGENET}


def parse(fields: Fields, defaults: Defaults) -> Preprocess:
    """Parse the file of this processor."""
    geometry = read_edge(fields, defaults)
    if "shortest_edge" in geometry:
        geometry["shortest_edge"] = int(256 / 224 * geometry["shortest_edge"])
    return finish(fields, defaults, **geometry, crop=read_crop(fields, defaults))
