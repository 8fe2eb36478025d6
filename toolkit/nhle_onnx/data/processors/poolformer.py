"""PoolFormer: the size divided by `crop_pct`, then a centre crop."""

from typing import Any

from nhle_onnx.data.processors.fields import Fields
from nhle_onnx.data.processors.hugging_face import IMAGENET, Defaults, finish, read_crop
from nhle_onnx.values.preprocess import Preprocess

DEFAULTS = {"PoolFormer": IMAGENET}


def parse(fields: Fields, defaults: Defaults) -> Preprocess:
    """Parse the file of this processor."""
    size = fields.take_edge("size", defaults.size)
    share = float(fields.take("crop_pct", 0.9))
    crop = read_crop(fields, defaults)
    return finish(fields, defaults, **_enlarge(size, share), crop=crop)


def _enlarge(size: int | tuple[int, int], share: float) -> dict[str, Any]:
    """Return the shortest edge, or height and width where these differ."""
    height, width = (size, size) if isinstance(size, int) else size
    if height == width:
        return {"shortest_edge": int(height / share)}
    return {"size": (int(height / share), int(width / share))}
