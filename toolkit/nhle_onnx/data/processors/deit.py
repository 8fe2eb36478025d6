"""DeiT and BEiT: squashed to height × width, then cropped."""

from nhle_onnx.data.processors.fields import Fields
from nhle_onnx.data.processors.hugging_face import Defaults, finish, read_crop
from nhle_onnx.values.preprocess import Preprocess

_BOTH = Defaults(size=256, resample=3, crop=224)
DEFAULTS = {"DeiT": _BOTH, "Beit": _BOTH}


def parse(fields: Fields, defaults: Defaults) -> Preprocess:
    """Parse the file of such a processor."""
    size = fields.take_box("size", defaults.size)
    return finish(fields, defaults, size=size, crop=read_crop(fields, defaults))
