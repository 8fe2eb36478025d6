"""Random views of scenes: images with the boxes of what is in them."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

_SIZES = (0.75, 1.3)  # of a pasted object, relative to its own
_SMALLEST = 4  # pixels of a side


class Scenes(NamedTuple):
    """Images [N, C, H, W], and for each the boxes [M, 5] of objects: corners in pixels, class."""

    images: Tensor
    boxes: tuple[Tensor, ...]

    def extend(self, others: "Scenes") -> "Scenes":
        """Return these scenes, followed by others."""
        return Scenes(torch.cat([self.images, others.images]), (*self.boxes, *others.boxes))

    def choose(self, places: Sequence[int]) -> "Scenes":
        """Return the scenes at the given places."""
        return Scenes(self.images[list(places)], tuple(self.boxes[place] for place in places))


def draw_view(
    scenes: Scenes, count: int, max_shift: int, generator: torch.Generator, *, mirrors: bool
) -> Scenes:
    """At most `count` of the scenes, at random, shifted by up to `max_shift` pixels with their edge
    repeated, and half of them mirrored if `mirrors`.
    """
    chosen = scenes.choose(torch.randperm(len(scenes.images), generator=generator)[:count].tolist())
    moved = [
        _move(image, boxes, max_shift, generator, mirrors=mirrors)
        for image, boxes in zip(chosen.images, chosen.boxes, strict=True)
    ]
    return _gather(moved, scenes)


def _gather(views: Sequence[tuple[Tensor, Tensor]], source: Scenes) -> Scenes:
    """Return images with their boxes as scenes; there may be none of the source's."""
    if not views:
        return source.choose([])
    return Scenes(torch.stack([image for image, _ in views]), tuple(boxes for _, boxes in views))


def _move(
    image: Tensor, boxes: Tensor, max_shift: int, generator: torch.Generator, *, mirrors: bool
) -> tuple[Tensor, Tensor]:
    left, top = torch.randint(0, 2 * max_shift + 1, (2,), generator=generator).tolist()
    _, height, width = image.shape
    padded = functional.pad(image[None], [max_shift] * 4, mode="replicate")[0]
    view = padded[:, top : top + height, left : left + width]
    offset = torch.tensor([max_shift - left, max_shift - top] * 2 + [0])
    placed = boxes + offset
    if mirrors and torch.rand((), generator=generator) < 0.5:  # noqa: PLR2004 - a coin
        return view.flip(2), _mirror(placed, width)
    return view, placed


def _mirror(boxes: Tensor, width: int) -> Tensor:
    left, top, right, bottom, index = boxes.unbind(1)
    return torch.stack([width - right, top, width - left, bottom, index], 1)


def paste_objects(scenes: Scenes, frames: Scenes, generator: torch.Generator) -> Scenes:
    """Paste an object of the scenes somewhere into each of the frames, at another size.

    A few images show the objects in few surroundings; pasting keeps these from being forgotten in
    place of the objects.
    """
    found = [
        (image, box)
        for image, boxes in zip(scenes.images, scenes.boxes, strict=True)
        for box in boxes
    ]
    if not found:
        return frames.choose([])
    chosen = torch.randint(len(found), (len(frames.images),), generator=generator).tolist()
    pasted = [
        _paste(frame, boxes, found[index], generator)
        for frame, boxes, index in zip(frames.images, frames.boxes, chosen, strict=True)
    ]
    return _gather(pasted, frames)


def _paste(
    frame: Tensor, boxes: Tensor, source: tuple[Tensor, Tensor], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Paste what a box shows into a frame [C, H, W], and return it with one box more."""
    _, height, width = frame.shape
    image, box = source
    left, top, right, bottom = (round(side) for side in box[:4].tolist())
    cut = image[:, max(top, 0) : bottom, max(left, 0) : right]
    if min(cut.shape[1:]) < _SMALLEST:
        return frame, boxes
    low, high = _SIZES
    factor = low + (high - low) * torch.rand((), generator=generator).item()
    tall, wide = (
        min(max(_SMALLEST, round(extent * factor)), most)
        for extent, most in zip(cut.shape[1:], (height, width), strict=True)
    )
    shown = functional.interpolate(cut[None], size=(tall, wide), mode="bilinear")[0]
    y, x = (
        int(torch.randint(room + 1, (), generator=generator))
        for room in (height - tall, width - wide)
    )
    made = frame.clone()
    made[:, y : y + tall, x : x + wide] = shown
    added = torch.tensor([[x, y, x + wide, y + tall, float(box[4])]])
    return made, torch.cat([boxes, added])
