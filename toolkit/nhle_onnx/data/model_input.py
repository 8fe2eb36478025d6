"""A model's input and how images become it, from the graph and from what describes the model."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from nhle_onnx.data.beside import find_beside
from nhle_onnx.data.preprocess_sources import find_preprocess
from nhle_onnx.graph.image_input import read_image_input
from nhle_onnx.graph.regular_files import read_text
from nhle_onnx.values.model import OnnxModel
from nhle_onnx.values.preprocess import ImageInput, Preprocess
from nhle_onnx.values.settings.model import ModelFlags, PreprocessFlags

_MAX_EXTENT = 8192
_SIDES = 2


def find_input(model: OnnxModel, flags: ModelFlags, companions: Sequence[Path] = ()) -> ImageInput:
    """Return the model's input. Where its graph leaves height and width open, they are those asked
    for, else those that its preprocessing makes, else those in its `config.json`.
    """
    find_size = partial(_find_size, model, flags.preprocess, companions)
    return read_image_input(model, layout=flags.layout, find_size=find_size)


def find_pixels(
    model: OnnxModel,
    target: ImageInput,
    flags: PreprocessFlags,
    companions: Sequence[Path] = (),
) -> Preprocess | None:
    """Find how image files become the input; None where nothing says how, or where images cannot
    become it.

    A graph that takes 8-bit pixels has the rest of the preprocessing in itself: only sizes are then
    taken from what describes it, unless other numbers are asked for.
    """
    if not target.takes_pictures:
        return None
    found = find_preprocess(model, target, flags, companions)
    if target.dtype != "uint8" or (flags.mean, flags.std, flags.pixel_range) != (None, None, None):
        return found
    if found is None:
        found = Preprocess(source="the input's 8-bit pixels", size=(target.height, target.width))
    return replace(found, scale=1.0, offset=0.0, mean=(0.0,), std=(1.0,))


def _find_size(
    model: OnnxModel, flags: PreprocessFlags, companions: Sequence[Path], target: ImageInput
) -> tuple[int, int] | None:
    if flags.size is not None:
        return flags.size
    found = find_preprocess(model, target, PreprocessFlags(file=flags.file), companions)
    if found and (found.crop or found.size):
        return found.crop or found.size
    if found and found.shortest_edge:
        return found.shortest_edge, found.shortest_edge
    return next(filter(None, map(_read_config, find_beside(model.path, ("config.json",)))), None)


def _read_config(path: Path) -> tuple[int, int] | None:
    """Read `image_size` of a Hugging Face configuration: one number, two, or named ones."""
    try:
        given = json.loads(read_text(path)).get("image_size")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    if isinstance(given, dict):
        given = [given.get("height"), given.get("width")]
    sides = given if isinstance(given, list) else [given] * _SIDES
    if len(sides) != _SIDES or not all(_is_extent(side) for side in sides):
        return None
    return sides[0], sides[1]


def _is_extent(side: object) -> bool:
    return type(side) is int and 0 < side <= _MAX_EXTENT
