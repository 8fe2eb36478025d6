"""SSDLite on MobileNetV3-Small: Liu et al., "SSD", 2016; Sandler et al., "MobileNetV2", 2018, §6.2.

Anchors of several shapes at each location, heads of depthwise convolutions, a softmax over the
classes and a background, which is the first.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from architectures.layers import conv_bn
from architectures.mobilenetv3 import mobilenet_v3_small


class Scale(NamedTuple):
    """A tap of the backbone behind this stage, its channels and stride, and its anchors' sides."""

    stage: int
    channels: int
    stride: int
    sides: tuple[tuple[float, float], ...]


SCALES = (
    Scale(4, 24, 8, ((14, 14), (12, 24), (24, 14), (24, 24))),
    Scale(9, 48, 16, ((34, 20), (20, 34), (30, 30), (40, 40))),
    Scale(13, 576, 32, ((54, 30), (30, 54), (54, 54))),
)
VARIANCES = (0.1, 0.2)


class SSDLite(nn.Module):
    """Takes [N, 3, H, W]; returns boxes [N, anchors, 4], corners in pixels, and scores
    [N, anchors, 1 + C]. `predict` returns offsets and logits, which training needs.
    """

    anchors: Tensor

    def __init__(self, num_classes: int = 10, extent: int = 96) -> None:
        super().__init__()
        stages = [*mobilenet_v3_small().features.children()]
        cuts = [0, *(scale.stage for scale in SCALES)]
        self.stages = nn.ModuleList(
            nn.Sequential(*stages[start:stop]) for start, stop in pairwise(cuts)
        )
        self.width = 1 + num_classes
        self.boxes = nn.ModuleList(_make_head(scale, 4) for scale in SCALES)
        self.classes = nn.ModuleList(_make_head(scale, self.width) for scale in SCALES)
        self.register_buffer("anchors", make_anchors(extent), persistent=False)

    def predict(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return offsets [N, anchors, 4] and logits [N, anchors, 1 + C]."""
        maps, features = [], images
        for stage in self.stages:
            features = stage(features)
            maps.append(features)
        return _join(self.boxes, maps, 4), _join(self.classes, maps, self.width)

    def decode(self, offsets: Tensor) -> Tensor:
        """Return boxes as left, top, right, bottom in pixels."""
        centre, sides = self.anchors.chunk(2, 1)
        shift, growth = offsets.chunk(2, 2)
        middle = centre + shift * VARIANCES[0] * sides
        half = sides * (growth * VARIANCES[1]).exp() / 2
        return torch.cat([middle - half, middle + half], 2)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes and scores, as exported."""
        offsets, logits = self.predict(images)
        return self.decode(offsets), logits.softmax(2)


def make_anchors(extent: int) -> Tensor:
    """Return the centre and the sides of each anchor, [anchors, 4]; shapes lie side by side."""
    rows = []
    for scale in SCALES:
        centres = (torch.arange(extent // scale.stride) + 0.5) * scale.stride
        down, across = torch.meshgrid(centres, centres, indexing="ij")
        points = torch.stack([across.reshape(-1), down.reshape(-1)], 1)
        sides = torch.tensor(scale.sides)
        rows.append(
            torch.cat([points.repeat_interleave(len(sides), 0), sides.repeat(len(points), 1)], 1)
        )
    return torch.cat(rows)


def _make_head(scale: Scale, width: int) -> nn.Sequential:
    channels = scale.channels
    return nn.Sequential(
        conv_bn(channels, channels, 3, groups=channels, activation=nn.ReLU6),
        nn.Conv2d(channels, width * len(scale.sides), 1),
    )


def _join(heads: nn.ModuleList, maps: Sequence[Tensor], width: int) -> Tensor:
    rows = []
    for head, features in zip(heads, maps, strict=True):
        found = head(features)
        cells = found.unflatten(1, (-1, width)).permute(0, 3, 4, 1, 2)
        rows.append(cells.flatten(1, 3))
    return torch.cat(rows, 1)
