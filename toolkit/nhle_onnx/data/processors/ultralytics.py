"""Ultralytics: the metadata of an exported classifier or detector."""

import ast
from collections.abc import Mapping

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.values.preprocess import Preprocess

_MAX_TEXT = 2**20
_TASKS = frozenset({"classify", "detect"})
_GREY = 114  # of the borders


def is_ultralytics(metadata: Mapping[str, str]) -> bool:
    """Whether Ultralytics exported a model."""
    return "Ultralytics" in metadata.get("author", "") and "imgsz" in metadata


def parse(metadata: Mapping[str, str], source: str) -> Preprocess:
    """Parse the metadata: the shortest edge, a centre crop, 0 to 1; for a detector, the longest
    edge, and grey borders.
    """
    task = metadata.get("task", "classify")
    if task not in _TASKS:
        message = f"{source} says task = {task}: the model is neither a classifier nor a detector"
        raise InputRefusedError(
            message, remedy="Give a model that was trained to classify or to detect."
        )
    height, width = _read_size(metadata["imgsz"])
    if task == "detect":
        return Preprocess(
            source=source,
            upright=True,
            size=(height, width),
            fit="contain",
            crop=(height, width),
            pad=(_GREY,),
            centre="round",
        )
    is_square = height == width
    return Preprocess(
        source=source,
        upright=True,
        size=None if is_square else (height, width),
        shortest_edge=height if is_square else None,
        crop=(height, width),
        centre="round",
    )


def _read_size(text: str) -> tuple[int, int]:
    match read_literal(text):
        case int(side) | [int(side)]:
            return side, side
        case [int(height), int(width)]:
            return height, width
    raise ValueError(f"imgsz is {text[:80]!r}")


def read_literal(text: str) -> object:
    """Read a Python literal: Ultralytics writes lists and names in this form."""
    if len(text) > _MAX_TEXT:
        raise ValueError(f"a literal has {len(text):,} characters")
    try:
        return ast.literal_eval(text)
    except (SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(f"it is not a Python literal: {text[:80]!r}") from error
