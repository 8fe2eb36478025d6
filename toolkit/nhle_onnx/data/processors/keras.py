"""Keras: `load_img`, then `imagenet_utils.preprocess_input` in one of its three modes."""

from typing import Any

from nhle_onnx.data.processors.fields import Fields
from nhle_onnx.data.processors.hugging_face import IMAGENET_MEAN, IMAGENET_STD
from nhle_onnx.values.preprocess import Preprocess

MODES: dict[str, dict[str, Any]] = {
    "caffe": {"channels": "bgr", "scale": 1.0, "mean": (103.939, 116.779, 123.68)},
    "tf": {"scale": 2 / 255, "offset": -1.0},
    "torch": {"mean": IMAGENET_MEAN, "std": IMAGENET_STD},
}


def parse(fields: Fields) -> Preprocess:
    """Parse the arguments of both functions."""
    fields.take("data_format")
    if fields.take("color_mode", "rgb") not in {"rgb", "grayscale"}:
        fields.refuse("color_mode")
    return Preprocess(
        source=fields.source,
        size=fields.take_box("target_size") if "target_size" in fields.config else None,
        resample=fields.take_resample("interpolation", "nearest"),
        **MODES[fields.take("mode")],
    )
