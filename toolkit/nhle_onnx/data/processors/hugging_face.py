"""What the image processors of Hugging Face have in common.

Read from the NumPy and Pillow processors of transformers 4.57.6, with which the tests compare.
"""

from dataclasses import dataclass
from typing import Any

from nhle_onnx.data.processors.fields import Fields
from nhle_onnx.values.preprocess import Preprocess

Triple = tuple[float, float, float]

HALF: Triple = (0.5, 0.5, 0.5)
IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
CLIP_MEAN: Triple = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD: Triple = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What a processor does where its file says nothing."""

    size: int
    resample: int
    crop: int | None = None
    mean: Triple | float = HALF
    std: Triple | float = HALF


SQUARE = Defaults(size=224, resample=2)
IMAGENET = Defaults(size=224, resample=3, crop=224, mean=IMAGENET_MEAN, std=IMAGENET_STD)


def read_crop(fields: Fields, defaults: Defaults) -> tuple[int, int] | None:
    """Return the centre crop."""
    if not fields.take_flag("do_center_crop", default=defaults.crop is not None):
        fields.take("crop_size")
        return None
    return fields.take_box("crop_size", defaults.crop)


def read_edge(fields: Fields, defaults: Defaults) -> dict[str, Any]:
    """Return the size, or the shortest edge."""
    size = fields.take_edge("size", defaults.size)
    return {"shortest_edge" if isinstance(size, int) else "size": size}


def finish(fields: Fields, defaults: Defaults, **geometry: Any) -> Preprocess:  # noqa: ANN401
    """Add rescaling and normalization to the geometry; without resizing, only its crop counts."""
    if not fields.take_flag("do_resize", default=True):
        geometry = {"crop": geometry.get("crop")}
    resample = fields.take_resample("resample", defaults.resample)
    return Preprocess(
        source=fields.source,
        upright=True,
        resample=resample,
        **geometry,
        scale=read_scale(fields),
        **read_normalization(fields, defaults),
    )


def read_scale(fields: Fields) -> float:
    """Return what pixels are multiplied by."""
    factor = float(fields.take("rescale_factor", 1 / 255))
    return factor if fields.take_flag("do_rescale", default=True) else 1.0


def read_normalization(fields: Fields, defaults: Defaults) -> dict[str, Any]:
    """Return mean and standard deviation."""
    mean = fields.take_numbers("image_mean", defaults.mean)
    std = fields.take_numbers("image_std", defaults.std)
    does_normalize = fields.take_flag("do_normalize", default=True)
    return {"mean": mean, "std": std} if does_normalize else {}
