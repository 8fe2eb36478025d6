"""Which processor wrote a file. To add one, write a file and add it to a row."""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from nhle_onnx.data.processors import (
    clip,
    convnext,
    deit,
    efficientnet,
    keras,
    levit,
    mobilevit,
    perceiver,
    plain,
    poolformer,
    timm,
    torchvision,
    vit,
)
from nhle_onnx.data.processors.fields import Fields
from nhle_onnx.data.processors.hugging_face import Defaults
from nhle_onnx.values.preprocess import Preprocess

_HUGGING_FACE: tuple[ModuleType, ...] = (
    vit, deit, clip, levit, convnext, poolformer, mobilevit, efficientnet, perceiver,
)  # fmt: skip
PROCESSORS: dict[str, tuple[Callable[[Fields, Defaults], Preprocess], Defaults]] = {
    name: (module.parse, defaults)
    for module in _HUGGING_FACE
    for name, defaults in module.DEFAULTS.items()
}
_ENDINGS = ("ImageProcessorFast", "ImageProcessorPil", "ImageProcessor", "FeatureExtractor")
# `model_type` of a config.json, for files older than `image_processor_type`
_BY_MODEL = {
    "vit": "ViT", "vit_msn": "ViT", "vit_mae": "ViT", "swin": "ViT", "swinv2": "ViT",
    "swiftformer": "ViT", "dinat": "ViT", "nat": "ViT", "ijepa": "ViT", "siglip": "Siglip",
    "segformer": "Segformer", "pvt": "Pvt", "pvt_v2": "Pvt", "deit": "DeiT", "beit": "Beit",
    "data2vec-vision": "Beit", "clip": "CLIP", "bit": "Bit", "dinov2": "Bit", "focalnet": "Bit",
    "hiera": "Bit", "mobilenet_v1": "MobileNetV1", "mobilenet_v2": "MobileNetV2",
    "levit": "Levit", "convnext": "ConvNext", "convnextv2": "ConvNext", "resnet": "ConvNext",
    "regnet": "ConvNext", "cvt": "ConvNext", "van": "ConvNext", "poolformer": "PoolFormer",
    "mobilevit": "MobileViT", "mobilevitv2": "MobileViT", "efficientnet": "EfficientNet",
    "perceiver": "Perceiver",
}  # fmt: skip
_TYPES = ("image_processor_type", "feature_extractor_type")


def parse_config(
    config: Mapping[str, Any], source: str, model_type: str | None = None
) -> Preprocess | None:
    """Parse a description as its writer means it; None if it says nothing of preprocessing.

    `model_type` is that of a config.json beside it. Raises InputRefusedError for a field that may
    change pixels and is not understood.
    """
    if isinstance(config.get("image_processor"), Mapping):
        return parse_config(config["image_processor"], source, model_type)
    if isinstance(config.get("pretrained_cfg"), Mapping):
        config = config["pretrained_cfg"]
        fields = Fields(config, source)
        found = timm.parse(fields)
    else:
        fields = Fields(config, source)
        parsed = _parse(fields, model_type)
        if parsed is None:
            return None
        found = parsed
    fields.refuse_rest()
    return found


def _parse(fields: Fields, model_type: str | None) -> Preprocess | None:
    config = fields.config
    written = next((config[key] for key in _TYPES if config.get(key)), None)
    if written is not None or (model_type in _BY_MODEL and plain.MARKS & config.keys()):
        name = _shorten(written) if written is not None else _BY_MODEL[str(model_type)]
        if name not in PROCESSORS:
            key = next(key for key in _TYPES if config.get(key))
            fields.refuse(key)
        parse, defaults = PROCESSORS[name]
        return parse(fields, defaults)
    if config.get("mode") in keras.MODES:
        return keras.parse(fields)
    if config.keys() >= torchvision.MARKS:
        return torchvision.parse(fields)
    return plain.parse(fields) if plain.MARKS & config.keys() else None


def _shorten(written: str) -> str:
    """Return the processor's name without what all of them end with."""
    ending = next((each for each in _ENDINGS if written.endswith(each)), "")
    return written.removesuffix(ending)
