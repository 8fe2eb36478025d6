"""timm's `pretrained_cfg`, read from timm 1.0.31: `transforms_imagenet_eval`."""

from math import floor
from typing import Any

from nhle_onnx.data.processors.fields import Fields
from nhle_onnx.data.processors.hugging_face import IMAGENET_MEAN, IMAGENET_STD
from nhle_onnx.values.preprocess import Preprocess

_SHARE = 0.875
# Where the weights come from, what they were tested with, and what the head is.
_HARMLESS = (
    "url", "file", "state_dict", "hf_hub_id", "hf_hub_filename", "source", "architecture", "tag",
    "custom_load", "test_input_size", "min_input_size", "fixed_input_size", "test_crop_pct",
    "num_classes", "label_offset", "label_names", "label_descriptions", "pool_size",
    "test_pool_size", "first_conv", "classifier", "license", "description", "origin_url",
    "paper_name", "paper_ids", "notes", "global_pool", "model_args",
)  # fmt: skip


def parse(fields: Fields) -> Preprocess:
    """Parse a `pretrained_cfg`."""
    for name in _HARMLESS:
        fields.take(name)
    _, height, width = map(int, fields.take("input_size", (3, 224, 224)))
    share = float(fields.take("crop_pct", _SHARE))
    mean = fields.take_numbers("mean", IMAGENET_MEAN)
    resample = fields.take_resample("interpolation", "bicubic")
    mode = fields.take("crop_mode", "center")
    if mode not in {"center", "squash", "border"}:
        fields.refuse("crop_mode")
    return Preprocess(
        source=fields.source,
        resample=resample,
        **_scale(mode, floor(height / share), floor(width / share)),
        crop=(height, width),
        centre="round",
        pad=tuple(round(255 * each) for each in mean) if mode == "border" else (0,),
        mean=mean,
        std=fields.take_numbers("std", IMAGENET_STD),
    )


def _scale(mode: str, height: int, width: int) -> dict[str, Any]:
    """Return what is resized to."""
    if mode == "squash":
        return {"size": (height, width)}
    if mode == "border":
        return {"size": (height, width), "fit": "contain"}
    if height == width:
        return {"shortest_edge": height}
    return {"size": (height, width), "fit": "cover"}
