"""A file that names no processor, as this tool writes it: each field says what it does.

The names are those of Hugging Face, with a few more for what they cannot say.
"""

from dataclasses import replace
from typing import Any, get_args

from nhle_onnx.data.processors.fields import Fields
from nhle_onnx.data.processors.hugging_face import Defaults, finish, read_crop
from nhle_onnx.values.preprocess import Centre, Fit, Preprocess

_NOTHING = Defaults(size=0, resample=2, mean=0.0, std=1.0)
MARKS = frozenset({
    "image_mean", "image_std", "rescale_factor", "do_rescale", "do_flip_channel_order",
})  # fmt: skip


def parse(fields: Fields) -> Preprocess:
    """Parse a file that says everything itself; an integer size could mean two things."""
    if isinstance(fields.take("size"), int) and fields.take_flag("do_resize", default=True):
        fields.refuse("size")
    edge = fields.take_edge("size") if fields.take("size") else None
    is_edge = isinstance(edge, int)
    found = finish(
        fields,
        _NOTHING,
        size=None if is_edge else edge,
        shortest_edge=edge if is_edge else None,
        crop=read_crop(fields, _NOTHING),
    )
    shifts = fields.take_flag("rescale_offset", default=False)
    return replace(
        found,
        upright=fields.take_flag("do_exif_transpose", default=True),
        crop_share=_take_shares(fields),
        fit=_take_word(fields, "fit", get_args(Fit)),
        centre=_take_word(fields, "centre", get_args(Centre)),
        pad=tuple(map(int, fields.take_numbers("pad_color", 0))),
        channels="bgr" if fields.take_flag("do_flip_channel_order", default=False) else "rgb",
        offset=-1.0 if shifts else 0.0,
    )


def _take_word(fields: Fields, name: str, words: tuple[str, ...]) -> Any:  # noqa: ANN401
    value = fields.take(name, words[0])
    if value not in words:
        fields.refuse(name)
    return value


def _take_shares(fields: Fields) -> tuple[float, float] | None:
    shares = fields.take("crop_share")
    if shares is None:
        return None
    height, width = shares
    return float(height), float(width)
