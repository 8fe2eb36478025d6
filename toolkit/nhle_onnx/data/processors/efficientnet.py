"""EfficientNet: squashed; `include_top` divides by the deviation once more."""

from dataclasses import replace

from nhle_onnx.data.processors.fields import Fields
from nhle_onnx.data.processors.hugging_face import Defaults, finish, read_crop
from nhle_onnx.values.preprocess import Preprocess

_CROP = 289  # where cropping is switched on without a size
DEFAULTS = {"EfficientNet": Defaults(size=346, resample=0)}


def parse(fields: Fields, defaults: Defaults) -> Preprocess:
    """Parse the file of this processor."""
    size = fields.take_box("size", defaults.size)
    crop = read_crop(fields, replace(defaults, crop=_CROP)) if _crops(fields) else None
    found = finish(fields, defaults, size=size, crop=crop)
    shifts = fields.take_flag("rescale_offset", default=False)
    if shifts and fields.take_flag("do_rescale", default=True):
        found = replace(found, offset=-1.0)
    if fields.take_flag("include_top", default=True):
        std = fields.take_numbers("image_std", defaults.std)
        found = replace(found, std=_multiply(found.std, std))
    return found


def _crops(fields: Fields) -> bool:
    fields.take("crop_size")
    return fields.take_flag("do_center_crop", default=False)


def _multiply(ones: tuple[float, ...], others: tuple[float, ...]) -> tuple[float, ...]:
    """Multiply deviations, each one for all channels or one for each."""
    count = max(len(ones), len(others))
    pairs = zip(ones * (count // len(ones)), others * (count // len(others)), strict=True)
    return tuple(one * other for one, other in pairs)
