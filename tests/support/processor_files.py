"""Files that Hugging Face's processors write, and images of odd sizes and modes."""

from importlib import import_module
from typing import Any

import numpy as np
from PIL import Image

STANDARD = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_EFFICIENTNET = {
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.47853944, 0.4732864, 0.47434163],
}
# A name for the test, the folder of transformers, the processor's name and fields.
FILES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "vit": ("vit", "ViT", {"size": 24, "resample": 2, **STANDARD}),
    "vit, a box": ("vit", "ViT", {"size": {"height": 20, "width": 28}, "resample": 3}),
    "siglip": ("siglip", "Siglip", {"size": {"height": 24, "width": 24}}),
    "segformer": ("segformer", "Segformer", {"size": 24, **IMAGENET}),
    "pvt": ("pvt", "Pvt", {"size": {"height": 24, "width": 24}}),
    "blip": ("blip", "Blip", {"size": {"height": 24, "width": 24}}),
    "deit": ("deit", "DeiT", {"size": 28, "crop_size": 24, "resample": 3, **IMAGENET}),
    "deit, no crop": ("deit", "DeiT", {"size": 24, "do_center_crop": False}),
    "beit": ("beit", "Beit", {"size": 27, "crop_size": 24, "resample": 2}),
    "clip": ("clip", "CLIP", {"size": 24, "crop_size": 24}),
    "clip, larger crop": ("clip", "CLIP", {"size": 20, "crop_size": 25}),
    "bit": (
        "bit", "Bit", {"size": {"shortest_edge": 27}, "crop_size": {"height": 24, "width": 22}}
    ),
    "mobilenet v1": ("mobilenet_v1", "MobileNetV1", {"size": 28, "crop_size": 24}),
    "mobilenet v2": ("mobilenet_v2", "MobileNetV2", {"size": 29, "crop_size": 24, "resample": 2}),
    "convnext": ("convnext", "ConvNext", {"size": 24, "crop_pct": 0.875, **IMAGENET}),
    "convnext, default share": ("convnext", "ConvNext", {"size": {"shortest_edge": 23}}),
    "convnext, squashed": ("convnext", "ConvNext", {"size": {"shortest_edge": 384}}),
    "levit": ("levit", "Levit", {"size": 24, "crop_size": 24, **IMAGENET}),
    "levit, a box": ("levit", "Levit", {"size": {"height": 26, "width": 25}, "crop_size": 24}),
    "poolformer": ("poolformer", "PoolFormer", {"size": 24, "crop_size": 24, "crop_pct": 0.95}),
    "poolformer, a box": (
        "poolformer", "PoolFormer", {"size": {"height": 24, "width": 20}, "crop_size": 20}
    ),
    "mobilevit": ("mobilevit", "MobileViT", {"size": 28, "crop_size": 24}),
    "mobilevit, larger crop": ("mobilevit", "MobileViT", {"size": 20, "crop_size": 25}),
    "efficientnet": ("efficientnet", "EfficientNet", {"size": 24, **_EFFICIENTNET}),
    "efficientnet, shifted": (
        "efficientnet", "EfficientNet",
        {"size": 24, "rescale_factor": 1 / 127.5, "rescale_offset": True, "include_top": False},
    ),
    "efficientnet, cropped": (
        "efficientnet", "EfficientNet",
        {"size": 28, "do_center_crop": True, "crop_size": 24, "resample": 3, **_EFFICIENTNET},
    ),
    "perceiver": ("perceiver", "Perceiver", {"size": 24, "crop_size": 27}),
    "perceiver, larger": ("perceiver", "Perceiver", {"size": 24, "crop_size": 20}),
    "no numbers": ("vit", "ViT", {"size": 24, "do_rescale": False, "do_normalize": False}),
}  # fmt: skip
MODES = ("L", "RGB", "RGBA", "P", "CMYK")
_EDGES = (24, 25, 31, 37, 48, 53, 61, 77, 96, 113, 24, 131, 40, 27, 23)


def list_sizes() -> list[tuple[int, int]]:
    """Thirty odd sizes of photos, upright and across."""
    pairs = [(edge, _EDGES[(7 * place + 3) % len(_EDGES)]) for place, edge in enumerate(_EDGES)]
    return [*pairs, *((width, height + 1) for height, width in pairs)]


def make_photo(height: int, width: int, mode: str) -> Image.Image:
    """An image of noise."""
    rng = np.random.default_rng(height * 1000 + width)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).convert(mode)


def make_file(kind: str) -> dict[str, Any]:
    """What a file of this kind holds."""
    _, name, fields = FILES[kind]
    return {"image_processor_type": f"{name}ImageProcessor", **fields}


def make_processor(kind: str) -> Any:  # noqa: ANN401 - transformers types little
    """Hugging Face's processor in NumPy and Pillow, from that file."""
    folder, name, fields = FILES[kind]
    module = import_module(f"transformers.models.{folder}.image_processing_{folder}")
    return getattr(module, f"{name}ImageProcessor").from_dict(dict(fields))
