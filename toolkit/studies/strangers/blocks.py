"""What the zoo's networks are made of: their sizes, and modules that torch does not have."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from architectures.convnext import ChannelNorm
from architectures.vit import EncoderBlock

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "hard-swish": nn.Hardswish,
}
NORMS: Mapping[str, Callable[[int], nn.Module]] = {
    "none": lambda _channels: nn.Identity(),
    "batch": nn.BatchNorm2d,
    "group": lambda channels: nn.GroupNorm(4, channels),
    "layer": ChannelNorm,
}


class Shape(NamedTuple):
    """What a network takes and how many classes it tells apart."""

    classes: int
    channels: int
    extent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A kind of network and its size. `hidden` is the layer before the last, 0 for pooled
    features; `depth` counts blocks of one width.
    """

    family: str
    widths: tuple[int, ...]
    depth: int = 1
    activation: str = "relu"
    norm: str = "none"
    dropout: float = 0.0
    hidden: int = 0

    def activate(self) -> nn.Module:
        """Make a new activation."""
        return ACTIVATIONS[self.activation]()

    def convolve(
        self, before: int, after: int, kernel: int = 3, stride: int = 1, groups: int = 1
    ) -> nn.Sequential:
        """Make a convolution and its normalisation, without activation."""
        return nn.Sequential(
            nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups),
            NORMS[self.norm](after),
        )


class Stacked(nn.Module):
    """Features in order, and a classifier."""

    def __init__(self, features: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of images [N, C, H, W]."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


class Residual(nn.Module):
    """A branch added to its input, or to a projection of it."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.after = after

    def forward(self, features: Tensor) -> Tensor:
        """Return the sum, activated."""
        out: Tensor = self.after(self.branch(features) + self.shortcut(features))
        return out


class Squeeze(nn.Module):
    """Channels weighed by their means (squeeze and excitation)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, max(4, channels // 4), 1),
            nn.ReLU(),
            nn.Conv2d(max(4, channels // 4), channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return features [N, C, H, W]."""
        out: Tensor = features * self.weigh(features)
        return out


class WindowBlock(nn.Module):
    """A transformer block within windows of a map (Swin), which may be shifted by half a window.

    A shift wraps around the edge, where Swin masks what does not belong together.
    """

    def __init__(self, dim: int, window: int, *, shifted: bool) -> None:
        super().__init__()
        self.window = window
        self.shift = window // 2 if shifted else 0
        self.block = EncoderBlock(dim, max(1, dim // 16), fused=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return features [N, H, W, D]."""
        moved = features.roll((-self.shift, -self.shift), (1, 2)) if self.shift else features
        count, height, width, dim = moved.shape
        side = self.window
        rows, columns = height // side, width // side
        parts = moved.reshape(count, rows, side, columns, side, dim).transpose(2, 3)
        seen = self.block(parts.reshape(-1, side * side, dim))
        whole = seen.reshape(count, rows, columns, side, side, dim).transpose(2, 3)
        out: Tensor = whole.reshape(count, height, width, dim)
        return out.roll((self.shift, self.shift), (1, 2)) if self.shift else out


class Swin(nn.Module):
    """Pairs of window blocks; patches are merged, two by two, between stages."""

    def __init__(self, shape: Shape, widths: tuple[int, ...], depth: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(shape.channels, widths[0], 4, 4)
        self.stages = nn.ModuleList()
        self.merges = nn.ModuleList(
            nn.Conv2d(before, after, 2, 2) for before, after in pairwise(widths)
        )
        side = shape.extent // 4
        for width in widths:
            blocks = (WindowBlock(width, min(4, side), shifted=odd) for odd in (False, True))
            self.stages.append(nn.Sequential(*list(blocks) * depth))
            side //= 2
        self.norm = nn.LayerNorm(widths[-1])
        self.classifier = nn.Linear(widths[-1], shape.classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of images [N, C, H, W]."""
        features = self.embed(images).permute(0, 2, 3, 1)
        for index, stage in enumerate(self.stages):
            if index:
                merged = self.merges[index - 1](features.permute(0, 3, 1, 2))
                features = merged.permute(0, 2, 3, 1)
            features = stage(features)
        logits: Tensor = self.classifier(self.norm(features).mean((1, 2)))
        return logits


class MobileViTBlock(nn.Module):
    """Attention among pixels at the same place of 2 x 2 patches, between convolutions."""

    def __init__(self, network: Network, channels: int) -> None:
        super().__init__()
        self.local = nn.Sequential(network.convolve(channels, channels), network.activate())
        self.encoder = nn.Sequential(
            *[EncoderBlock(channels, 2, fused=False) for _ in range(network.depth)]
        )
        self.fuse = nn.Sequential(network.convolve(2 * channels, channels), network.activate())

    def forward(self, features: Tensor) -> Tensor:
        """Return features [N, C, H, W]."""
        count, dim, height, width = features.shape
        rows, columns = height // 2, width // 2
        pixels = self.local(features).reshape(count, dim, rows, 2, columns, 2)
        tokens = pixels.permute(0, 3, 5, 2, 4, 1).reshape(count * 4, rows * columns, dim)
        seen = self.encoder(tokens).reshape(count, 2, 2, rows, columns, dim)
        whole = seen.permute(0, 5, 3, 1, 4, 2).reshape(count, dim, height, width)
        out: Tensor = self.fuse(torch.cat([features, whole], 1))
        return out
