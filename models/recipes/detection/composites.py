"""Scenes: a few Fashion-MNIST items, tinted and scaled, on a textured canvas, with their boxes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from recipes import fashion_mnist
from recipes.idx import Split

EXTENT = 96
MAX_ITEMS = 4
_SIZES = (22, 60)  # of an item's picture, in pixels
_SOLID = 24  # a grey level above which a pixel belongs to the item
_OVERLAP = 0.05  # of two boxes, at most
_TRIES = 12
_COARSE = (3, 12)  # cells of a texture's pattern

Pixels = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """An image [H, W, 3], boxes [M, 4] as left, top, right, bottom in pixels, classes [M]."""

    image: Pixels
    boxes: Boxes
    classes: npt.NDArray[np.int64]


def compose(
    split: Split, count: int, seed: int, classes: Sequence[int] | None = None
) -> list[Scene]:
    """Compose `count` scenes, of the given classes alone if there are any."""
    generator = np.random.default_rng(seed)
    wanted = range(len(fashion_mnist.LABELS)) if classes is None else classes
    pool = [np.flatnonzero(split.labels == index) for index in wanted]
    return [_compose_scene(split, pool, generator) for _ in range(count)]


def _compose_scene(
    split: Split, pool: Sequence[npt.NDArray[np.intp]], generator: np.random.Generator
) -> Scene:
    canvas = _draw_texture(generator)
    boxes: list[tuple[int, int, int, int]] = []
    classes: list[int] = []
    for _ in range(generator.integers(1, MAX_ITEMS + 1)):
        position = int(generator.choice(pool[int(generator.integers(len(pool)))]))
        item = _scale_item(split.images[position], generator)
        place = _find_place(item, boxes, generator)
        if place is not None:
            boxes.append(_paste(canvas, item, place, generator))
            classes.append(int(split.labels[position]))
    return Scene(
        image=canvas.clip(0, 255).astype(np.uint8),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        classes=np.array(classes, np.int64),
    )


def _draw_texture(generator: np.random.Generator) -> npt.NDArray[np.float32]:
    """Draw coarse noise of two colours, and grain."""
    cells = int(generator.integers(*_COARSE))
    coarse = Image.fromarray(generator.integers(0, 256, (cells, cells), dtype=np.uint8))
    share = np.asarray(coarse.resize((EXTENT, EXTENT), Image.Resampling.BICUBIC)) / 255
    dark, light = generator.uniform(20, 200, (2, 3))
    grain = generator.normal(0, generator.uniform(2, 14), (EXTENT, EXTENT, 1))
    textured = dark + share[..., None] * (light - dark) + grain
    canvas: npt.NDArray[np.float32] = textured.astype(np.float32)
    return canvas


def _scale_item(image: Pixels, generator: np.random.Generator) -> Pixels:
    """Cut an item out of its black margin, scale it, and perhaps mirror it."""
    rows, columns = (np.flatnonzero((image > _SOLID).any(axis)) for axis in (1, 0))
    cut = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    factor = generator.uniform(*_SIZES) / fashion_mnist.EXTENT
    height, width = (max(6, round(extent * factor)) for extent in cut.shape)
    scaled = np.asarray(Image.fromarray(cut).resize((width, height), Image.Resampling.BILINEAR))
    return scaled[:, ::-1] if generator.random() < 0.5 else scaled  # noqa: PLR2004 - a coin


def _find_place(
    item: Pixels, boxes: Sequence[tuple[int, int, int, int]], generator: np.random.Generator
) -> tuple[int, int] | None:
    """Find a free place, (left, top), for an item; None where the canvas is too full."""
    height, width = item.shape
    for _ in range(_TRIES):
        left = int(generator.integers(0, EXTENT - width + 1))
        top = int(generator.integers(0, EXTENT - height + 1))
        box = (left, top, left + width, top + height)
        if all(_overlap(box, other) <= _OVERLAP for other in boxes):
            return left, top
    return None


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> float:
    """Return the part of the smaller box that both share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return max(width, 0) * max(height, 0) / smaller


def _paste(
    canvas: npt.NDArray[np.float32],
    item: Pixels,
    place: tuple[int, int],
    generator: np.random.Generator,
) -> tuple[int, int, int, int]:
    """Paint an item in a colour of its own, and return its box."""
    (left, top), (height, width) = place, item.shape
    level = item.astype(np.float32)[..., None]
    opacity = (level / _SOLID).clip(0, 1)
    tint = generator.uniform(0.55, 1.0, 3)
    part = canvas[top : top + height, left : left + width]
    part[:] = part * (1 - opacity) + (35 + level * 0.85) * tint * opacity
    return left, top, left + width, top + height
