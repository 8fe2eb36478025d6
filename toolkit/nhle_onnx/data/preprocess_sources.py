"""Where the preprocessing of a model is described. Nothing is guessed."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import floor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from nhle_onnx.data.beside import find_beside
from nhle_onnx.data.model_metadata import list_metadata, read_metadata
from nhle_onnx.data.own_report import read_own_report
from nhle_onnx.data.presets import BY_NAME
from nhle_onnx.data.processors import ultralytics
from nhle_onnx.data.processors.choose import parse_config
from nhle_onnx.data.processors.fields import INTERPOLATIONS
from nhle_onnx.errors import InputRefusedError, refuse_unreadable
from nhle_onnx.graph.regular_files import read_text
from nhle_onnx.hints import Hint, hint
from nhle_onnx.text import suggest
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
_COLOURS, _WHITE, _MAX_SHARE = 3, 255, 8
Found = TypeVar("Found")
Fault = tuple[str, str]  # a reason and a remedy


def find_preprocess(
    model: OnnxModel,
    target: ImageInput,
    flags: PreprocessFlags,
    companions: Sequence[Path] = (),
) -> Preprocess | None:
    """Combine flags, the model's own report, a sidecar file, the model's metadata, and files beside
    models that it belongs to, in this order of precedence. Returns None if all of them are missing.
    """
    given = flags.file
    written = _find_written(model, companions) if given is None else _read_given(given, target)
    changes = {**_change_numbers(flags), **_change_geometry(flags, target)}
    if not changes:
        return _check(written, target) if written else None
    source = f"flags over {written.source}" if written else "flags"
    base = written or Preprocess(source=source, size=(target.height, target.width))
    return _check(replace(base, source=source, **changes), target)


def _read_given(given: str, target: ImageInput) -> Preprocess:
    """Read what the user named: a preset, or a file."""
    if given in BY_NAME:
        return BY_NAME[given].apply(target)
    path = Path(given)
    if not path.is_file():
        message = f"{given or 'an empty path'} is neither a file nor a preset"
        raise InputRefusedError(message, remedy=_advise_presets(path.name))
    return _read_file(path)


def _advise_presets(name: str) -> Hint:
    names = ", ".join(BY_NAME)
    near = suggest(name, BY_NAME)
    return hint(f"{near}Give {{preprocess}} a readable file, or one of {names}.")


def _change_numbers(flags: PreprocessFlags) -> dict[str, Any]:
    """Return the fields that single flags change: colours and numbers."""
    changes: dict[str, Any] = {
        "mean": flags.mean,
        "std": flags.std,
        "channels": flags.channels,
        "resample": INTERPOLATIONS[flags.resample] if flags.resample else None,
    }
    if flags.pixel_range is not None:
        low, high = flags.pixel_range
        changes |= {"scale": (high - low) / 255, "offset": low}
    return {name: value for name, value in changes.items() if value is not None}


def _change_geometry(flags: PreprocessFlags, target: ImageInput) -> dict[str, Any]:
    """Return the fields of sizes by single flags, which replace all sizes that were found."""
    nothing = {"crop_share": None, "size": None, "fit": "fill", "shortest_edge": None, "crop": None}
    if flags.resize is None and flags.crop_pct is None:
        return {**nothing, "size": flags.size} if flags.size else {}
    crop = flags.size or (target.height, target.width)
    height, width = (floor(side / (flags.crop_pct or 1)) for side in crop)
    mode = flags.resize or "shortest"
    sized: dict[str, Any] = {"size": (height, width)}
    if mode == "longest":
        sized["fit"] = "contain"
    elif mode == "shortest" and height == width:
        sized = {"shortest_edge": height}
    elif mode == "shortest":
        sized["fit"] = "cover"
    return {**nothing, **sized, "crop": crop, "centre": "round"}


def _find_written(model: OnnxModel, companions: Sequence[Path]) -> Preprocess | None:
    if own := _read_reported(model):
        return own
    if found := _find_beside(model.path) or _find_in(list_metadata(model.proto), model.path):
        return found
    for path in companions:
        if found := _find_beside(path) or _find_in(read_metadata(path), path):
            return found
    return None


def _find_in(metadata: Mapping[str, str], path: Path) -> Preprocess | None:
    """Find it in the metadata of the model at `path`."""
    if METADATA_KEY in metadata:
        return _parse_text(metadata[METADATA_KEY], f"metadata {METADATA_KEY} of {path}")
    if ultralytics.is_ultralytics(metadata):
        return _guard(lambda source: ultralytics.parse(metadata, source), f"metadata of {path}")
    return None


def _find_beside(place: Path) -> Preprocess | None:
    return next(filter(None, map(_parse_file, find_beside(place, _SIDECARS))), None)


def _read_reported(model: OnnxModel) -> Preprocess | None:
    """Return the preprocessing in an edited model's report; None if there is none to be read."""
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
        return read_text(path)
    except (OSError, ValueError) as error:
        raise refuse_unreadable(path, error, hint("Give {preprocess} a readable file.")) from error


def _read_file(path: Path) -> Preprocess:
    found = _parse_file(path)
    if found is None:
        remedy = "It needs image_mean, image_std and rescale_factor, or pretrained_cfg."
        raise InputRefusedError(f"{path} says nothing about preprocessing", remedy=remedy)
    return found


def _parse_file(path: Path) -> Preprocess | None:
    """Parse a file; where it names no processor, the config.json beside it may name the model."""
    config = path.with_name(_SIDECARS[-1])
    kind = _read_model_type(config) if config != path and config.is_file() else None
    return _parse_text(_read_text(path), str(path), kind)


def _read_model_type(config: Path) -> str | None:
    try:
        found = json.loads(_read_text(config)).get("model_type")
    except _DAMAGE:
        return None
    return found if isinstance(found, str) else None


def _parse_text(text: str, source: str, model_type: str | None = None) -> Preprocess | None:
    return _guard(lambda source: parse_config(json.loads(text), source, model_type), source)


def _guard(parse: Callable[[str], Found], source: str) -> Found:
    try:
        return parse(source)
    except _DAMAGE as error:
        message = f"{source} is not a readable preprocessing description: {repr(error)[:_SHOWN]}"
        raise InputRefusedError(
            message, remedy=hint("Correct it, or give {preprocess=FILE|PRESET}.")
        ) from error


def _check(preprocess: Preprocess, target: ImageInput) -> Preprocess:
    """Refuse steps that cannot be taken, or that do not fit the model."""
    for find in (_find_misfit, _find_odd_size, _find_odd_number):
        if found := find(preprocess, target):
            message = f"preprocessing from {preprocess.source} {found[0]}"
            raise InputRefusedError(message, remedy=found[1])
    return preprocess


def _find_misfit(preprocess: Preprocess, target: ImageInput) -> Fault | None:
    for name, values in (("mean", preprocess.mean), ("std", preprocess.std)):
        if len(values) not in {1, target.channels}:
            reason = (
                f"has {len(values)} values for {name}, "
                f"but the model's input has {target.channels} channels"
            )
            return reason, hint(f"Give {{{name}}} with one value for each channel.")
    if preprocess.channels == "bgr" and target.channels != _COLOURS:
        return "is bgr, but the model takes no colours", hint("Give {channels=rgb}.")
    return None


def _find_odd_size(preprocess: Preprocess, target: ImageInput) -> Fault | None:
    extents = [preprocess.shortest_edge, *(preprocess.size or ()), *(preprocess.crop or ())]
    is_odd = not all(0 < extent <= _MAX_EXTENT for extent in extents if extent is not None)
    if is_odd or not all(0 < share <= _MAX_SHARE for share in preprocess.crop_share or ()):
        remedy = f"Correct it: sides have 1 to {_MAX_EXTENT} pixels."
        return "makes images of an impossible size", remedy
    pads = preprocess.pad
    if len(pads) not in {1, target.channels} or not all(0 <= each <= _WHITE for each in pads):
        return (
            "has borders of an impossible colour",
            "Correct it: a colour has 0 to 255 per channel.",
        )
    if preprocess.resample not in INTERPOLATIONS.values():
        return "resizes in an unknown way", "Correct it: resample is a number from 0 to 5."
    return None


def _find_odd_number(preprocess: Preprocess, _: ImageInput) -> Fault | None:
    numbers = (preprocess.scale, preprocess.offset, *preprocess.mean, *preprocess.std)
    limits = np.finfo(np.float32)
    if not all(abs(number) <= float(limits.max) for number in numbers):
        remedy = hint("Give {mean}, {std} and {range}, or correct it.")
        return "holds numbers that are not finite", remedy
    if min(map(abs, preprocess.std)) < limits.tiny:
        return "divides by a std of 0, or nearly so", hint("Give {std} with positive values.")
    return None
