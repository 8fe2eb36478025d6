"""A small anchor-free detector after YOLOv8: C2f blocks, a feature pyramid, decoupled heads, DFL.

Jocher et al., "Ultralytics YOLOv8", 2023; distribution focal loss: Li et al., "Generalized Focal
Loss", 2020.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from architectures.layers import conv_bn

STRIDES = (8, 16, 32)
BINS = 8
_WIDTHS = (16, 24, 40, 56, 80)
_HEAD = 32


def _conv(channels_in: int, channels_out: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    return conv_bn(channels_in, channels_out, kernel, stride, activation=nn.SiLU, eps=1e-3)


class C2f(nn.Module):
    """Two halves of the channels; one goes through a residual block, and all parts are joined."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        half = channels_out // 2
        self.split = _conv(channels_in, 2 * half)
        self.block = nn.Sequential(_conv(half, half, 3), _conv(half, half, 3))
        self.join = _conv(3 * half, channels_out)

    def forward(self, features: Tensor) -> Tensor:
        """Features of as many rows and columns."""
        first, second = self.split(features).chunk(2, 1)
        joined: Tensor = self.join(torch.cat([first, second, second + self.block(second)], 1))
        return joined


class YoloTiny(nn.Module):
    """Takes [N, 3, H, W]; returns [N, 4 + C, anchors]: centre, width and height in pixels, scores.

    `predict` returns what training needs: distances in bins and logits of each scale.
    """

    points: Tensor
    strides: Tensor
    bins: Tensor

    def __init__(self, num_classes: int = 10, extent: int = 96) -> None:
        super().__init__()
        self.num_classes = num_classes
        w1, w2, w3, w4, w5 = _WIDTHS
        self.stem = nn.Sequential(_conv(3, w1, 3, 2), _conv(w1, w2, 3, 2), C2f(w2, w2))
        self.stages = nn.ModuleList(
            nn.Sequential(_conv(before, after, 3, 2), C2f(after, after))
            for before, after in ((w2, w3), (w3, w4), (w4, w5))
        )
        self.up = nn.Upsample(scale_factor=2.0, mode="nearest")
        self.lateral = nn.ModuleList([C2f(w5 + w4, w4), C2f(w4 + w3, w3)])
        widths = (w3, w4, w5)
        self.box_heads = nn.ModuleList(_make_head(width, 4 * BINS) for width in widths)
        self.class_heads = nn.ModuleList(_make_head(width, num_classes) for width in widths)
        points, strides = make_points(extent)
        self.register_buffer("points", points, persistent=False)
        self.register_buffer("strides", strides, persistent=False)
        self.register_buffer("bins", torch.arange(BINS, dtype=torch.float32), persistent=False)
        for head in self.class_heads:
            nn.init.constant_(head[-1].bias, -4.0)  # type: ignore[index] # a Sequential

    def predict(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return distances in bins [N, 4 * BINS, anchors] and logits [N, C, anchors]."""
        features = self.stem(images)
        taps = []
        for stage in self.stages:
            features = stage(features)
            taps.append(features)
        third, fourth, fifth = taps
        fourth = self.lateral[0](torch.cat([self.up(fifth), fourth], 1))
        third = self.lateral[1](torch.cat([self.up(fourth), third], 1))
        scales = (third, fourth, fifth)
        return _join(self.box_heads, scales), _join(self.class_heads, scales)

    def decode(self, bins: Tensor) -> Tensor:
        """Return boxes [N, 4, anchors] as left, top, right, bottom in pixels."""
        shares = bins.unflatten(1, (4, BINS)).softmax(2)
        distances = (shares * self.bins.view(1, 1, -1, 1)).sum(2) * self.strides
        near, far = distances.chunk(2, 1)
        return torch.cat([self.points - near, self.points + far], 1)

    def forward(self, images: Tensor) -> Tensor:
        """Boxes and scores, as exported."""
        bins, logits = self.predict(images)
        start, end = self.decode(bins).chunk(2, 1)
        return torch.cat([(start + end) / 2, end - start, logits.sigmoid()], 1)


def make_points(extent: int, strides: Sequence[int] = STRIDES) -> tuple[Tensor, Tensor]:
    """Return the centre of each location [1, 2, anchors], and its stride [anchors]."""
    points, steps = [], []
    for stride in strides:
        centres = (torch.arange(extent // stride) + 0.5) * stride
        rows, columns = torch.meshgrid(centres, centres, indexing="ij")
        points.append(torch.stack([columns.reshape(-1), rows.reshape(-1)]))
        steps.append(torch.full((rows.numel(),), float(stride)))
    return torch.cat(points, 1)[None], torch.cat(steps)


def _make_head(channels: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        _conv(channels, _HEAD, 3), _conv(_HEAD, _HEAD, 3), nn.Conv2d(_HEAD, outputs, 1)
    )


def _join(heads: nn.ModuleList, scales: Sequence[Tensor]) -> Tensor:
    return torch.cat(
        [head(features).flatten(2) for head, features in zip(heads, scales, strict=True)], 2
    )
