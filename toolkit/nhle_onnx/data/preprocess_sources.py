"""Where the preprocessing of a model is described. Nothing is guessed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nhle_onnx.data.own_report import read_own_report
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.hints import hint
from nhle_onnx.values.model import OnnxModel
from nhle_onnx.values.preprocess import ImageInput, Preprocess
from nhle_onnx.values.settings.model import PreprocessFlags

METADATA_KEY = "preprocessor_config"
_DAMAGE = (
    ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError,
)  # fmt: skip
_SHOWN = 200
_MAX_EXTENT = 8192  # of an image's side; Pillow gives no warning up to its square
_SIDECARS = ("preprocessor_config.json", "config.json")
_INTERPOLATIONS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}


def find_preprocess(
    model: OnnxModel,
    target: ImageInput,
    flags: PreprocessFlags,
    companions: Sequence[Path] = (),
) -> Preprocess | None:
    """Combine flags, the model's own report, a sidecar file, the model's metadata, and files beside
    models that it belongs to, in this order of precedence. Returns None if all of them are missing.
    """
    written = _read_file(flags.file) if flags.file else _find_written(model, companions)
    changes: dict[str, Any] = {}
    if flags.mean is not None:
        changes["mean"] = flags.mean
    if flags.std is not None:
        changes["std"] = flags.std
    if flags.size is not None:
        changes |= {"size": flags.size, "shortest_edge": None, "crop": None}
    if flags.pixel_range is not None:
        low, high = flags.pixel_range
        changes |= {"scale": (high - low) / 255, "offset": low}
    if not changes:
        return _check(written, target) if written else None
    source = f"flags over {written.source}" if written else "flags"
    base = written or Preprocess(source=source, size=(target.height, target.width))
    return _check(replace(base, source=source, **changes), target)


def parse_config(config: Mapping[str, Any], source: str) -> Preprocess | None:
    """Parse a Hugging Face `preprocessor_config.json` or timm `pretrained_cfg`, or return None."""
    if "pretrained_cfg" in config:
        return _parse_timm(config["pretrained_cfg"], source)
    if not {"image_mean", "rescale_factor", "do_rescale"} & config.keys():
        return None
    does_resize = config.get("do_resize", True)
    size = _parse_size(config.get("size")) if does_resize else None
    does_crop = config.get("do_center_crop", False)
    crop = _parse_size(config.get("crop_size")) if does_crop else None
    does_rescale = config.get("do_rescale", True)
    does_normalize = config.get("do_normalize", True)
    return Preprocess(
        source=source,
        size=None if isinstance(size, int) else size,
        shortest_edge=size if isinstance(size, int) else None,
        resample=int(config.get("resample", 2)),
        crop=(crop, crop) if isinstance(crop, int) else crop,
        scale=float(config.get("rescale_factor", 1 / 255)) if does_rescale else 1.0,
        offset=-1.0 if does_rescale and config.get("rescale_offset") else 0.0,
        mean=_parse_channels(config.get("image_mean", 0.0)) if does_normalize else (0.0,),
        std=_parse_channels(config.get("image_std", 1.0)) if does_normalize else (1.0,),
    )


def _parse_timm(config: Mapping[str, Any], source: str) -> Preprocess:
    _, height, width = map(int, config["input_size"])
    edge = round(min(height, width) / config.get("crop_pct", 1.0))
    return Preprocess(
        source=source,
        shortest_edge=edge,
        resample=_INTERPOLATIONS[config.get("interpolation", "bilinear")],
        crop=(height, width),
        mean=_parse_channels(config["mean"]),
        std=_parse_channels(config["std"]),
    )


def _parse_size(size: Any) -> tuple[int, int] | int | None:  # noqa: ANN401 - foreign JSON
    """Parse (height, width), or the length of the shortest edge."""
    if isinstance(size, Mapping):
        if "shortest_edge" in size:
            return int(size["shortest_edge"])
        return int(size["height"]), int(size["width"])
    if isinstance(size, list):
        return int(size[0]), int(size[1])
    return None if size is None else int(size)


def _parse_channels(value: Any) -> tuple[float, ...]:  # noqa: ANN401 - foreign JSON
    return tuple(float(item) for item in value) if isinstance(value, list) else (float(value),)


def _find_written(model: OnnxModel, companions: Sequence[Path]) -> Preprocess | None:
    if own := _read_reported(model):
        return own
    if found := _find_beside(model.path):
        return found
    for entry in model.proto.metadata_props:
        if entry.key == METADATA_KEY:
            return _parse_text(entry.value, f"metadata {METADATA_KEY} of {model.path}")
    return next(filter(None, map(_find_beside, companions)), None)


def _find_beside(place: Path) -> Preprocess | None:
    for name in _SIDECARS:
        path = place.parent / name
        if path.is_file() and (found := _parse_text(_read_text(path), str(path))):
            return found
    return None


def _read_reported(model: OnnxModel) -> Preprocess | None:
    """What the report of an edited model says; None where it says nothing that can be read."""
    if own := read_own_report(model):
        # pydantic takes a while to import, and seldom is there a report
        from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415

        path, document = own
        try:
            found = TypeAdapter(Preprocess).validate_python(document.get("preprocess"))
        except ValidationError:
            return None
        return replace(found, source=str(path))
    return None


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        message = f"{path} cannot be read: {reason}"
        raise InputRefusedError(
            message, remedy=hint("Give {preprocess} a readable file.")
        ) from error


def _read_file(path: Path) -> Preprocess:
    found = _parse_text(_read_text(path), str(path))
    if found is None:
        message = f"{path} says nothing about preprocessing"
        raise InputRefusedError(
            message, remedy="It needs image_mean, image_std and rescale_factor, or pretrained_cfg."
        )
    return found


def _parse_text(text: str, source: str) -> Preprocess | None:
    try:
        return parse_config(json.loads(text), source)
    except _DAMAGE as error:
        message = f"{source} is not a readable preprocessing description: {repr(error)[:_SHOWN]}"
        raise InputRefusedError(
            message, remedy=hint("Correct it, or give {preprocess=FILE}.")
        ) from error


def _check(preprocess: Preprocess, target: ImageInput) -> Preprocess:
    for name, values in (("mean", preprocess.mean), ("std", preprocess.std)):
        if len(values) not in {1, target.channels}:
            message = (
                f"preprocessing from {preprocess.source} has {len(values)} values for {name}, "
                f"but the model's input has {target.channels} channels"
            )
            raise InputRefusedError(
                message, remedy=f"Give --{name} with one value for each channel."
            )
    extents = [preprocess.shortest_edge, *(preprocess.size or ()), *(preprocess.crop or ())]
    if not all(0 < extent <= _MAX_EXTENT for extent in extents if extent is not None):
        message = f"preprocessing from {preprocess.source} makes images of an impossible size"
        raise InputRefusedError(
            message, remedy=f"Correct it: sides have 1 to {_MAX_EXTENT} pixels."
        )
    if preprocess.resample not in _INTERPOLATIONS.values():
        message = f"preprocessing from {preprocess.source} resizes in an unknown way"
        raise InputRefusedError(message, remedy="Correct it: resample is a number from 0 to 5.")
    numbers = (preprocess.scale, preprocess.offset, *preprocess.mean, *preprocess.std)
    limits = np.finfo(np.float32)
    if not all(abs(number) <= float(limits.max) for number in numbers):
        message = f"preprocessing from {preprocess.source} holds numbers that are not finite"
        raise InputRefusedError(
            message, remedy=hint("Give {mean}, {std} and {range}, or correct it.")
        )
    if min(map(abs, preprocess.std)) < limits.tiny:
        message = f"preprocessing from {preprocess.source} divides by a std of 0, or nearly so"
        raise InputRefusedError(message, remedy=hint("Give {std} with positive values."))
    return preprocess
