"""Random views of scenes: images with the boxes of what is in them."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Scenes(NamedTuple):
    """Images [N, C, H, W], and for each the boxes [M, 5] of objects: corners in pixels, class."""

    images: Tensor
    boxes: tuple[Tensor, ...]

    def extend(self, others: "Scenes") -> "Scenes":
        """These, and others behind them."""
        return Scenes(torch.cat([self.images, others.images]), (*self.boxes, *others.boxes))

    def choose(self, places: Sequence[int]) -> "Scenes":
        """Those at the given places."""
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
    return Scenes(torch.stack([image for image, _ in moved]), tuple(boxes for _, boxes in moved))


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
