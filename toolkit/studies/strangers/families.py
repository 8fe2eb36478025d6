"""Kinds of network, small enough to train in seconds; each ends in `classifier`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from architectures import ConvNeXt, VisionTransformer
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
        """A new activation."""
        return ACTIVATIONS[self.activation]()

    def convolve(
        self, before: int, after: int, kernel: int = 3, stride: int = 1, groups: int = 1
    ) -> nn.Sequential:
        """Convolution and normalisation, without activation."""
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
        """Logits of images [N, C, H, W]."""
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
        """The sum, activated."""
        out: Tensor = self.after(self.branch(features) + self.shortcut(features))
        return out


class Squeeze(nn.Module):
    """Channels weighed by what they hold on average (squeeze and excitation)."""

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
        """Features [N, C, H, W]."""
        out: Tensor = features * self.weigh(features)
        return out


class WindowBlock(nn.Module):
    """A transformer block within windows of a map (Swin), which may be shifted by half of one.

    A shift wraps around the edge, where Swin masks what does not belong together.
    """

    def __init__(self, dim: int, window: int, *, shifted: bool) -> None:
        super().__init__()
        self.window = window
        self.shift = window // 2 if shifted else 0
        self.block = EncoderBlock(dim, max(1, dim // 16), fused=False)

    def forward(self, features: Tensor) -> Tensor:
        """Features [N, H, W, D]."""
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
        """Logits of images [N, C, H, W]."""
        features = self.embed(images).permute(0, 2, 3, 1)
        for index, stage in enumerate(self.stages):
            if index:
                merged = self.merges[index - 1](features.permute(0, 3, 1, 2))
                features = merged.permute(0, 2, 3, 1)
            features = stage(features)
        logits: Tensor = self.classifier(self.norm(features).mean((1, 2)))
        return logits


class MobileViTBlock(nn.Module):
    """Attention among the pixels that hold one place in patches of 2 x 2, between convolutions."""

    def __init__(self, network: Network, channels: int) -> None:
        super().__init__()
        self.local = nn.Sequential(network.convolve(channels, channels), network.activate())
        self.encoder = nn.Sequential(
            *[EncoderBlock(channels, 2, fused=False) for _ in range(network.depth)]
        )
        self.fuse = nn.Sequential(network.convolve(2 * channels, channels), network.activate())

    def forward(self, features: Tensor) -> Tensor:
        """Features [N, C, H, W]."""
        count, dim, height, width = features.shape
        rows, columns = height // 2, width // 2
        pixels = self.local(features).reshape(count, dim, rows, 2, columns, 2)
        tokens = pixels.permute(0, 3, 5, 2, 4, 1).reshape(count * 4, rows * columns, dim)
        seen = self.encoder(tokens).reshape(count, 2, 2, rows, columns, dim)
        whole = seen.permute(0, 5, 3, 1, 4, 2).reshape(count, dim, height, width)
        out: Tensor = self.fuse(torch.cat([features, whole], 1))
        return out


def build(network: Network, shape: Shape) -> nn.Module:
    """A new network."""
    return FAMILIES[network.family](network, shape)


def build_mlp(network: Network, shape: Shape) -> nn.Module:
    """Linear layers over the pixels."""
    layers: list[nn.Module] = [nn.Flatten()]
    before = shape.channels * shape.extent**2
    for width in network.widths:
        layers += [nn.Linear(before, width), network.activate(), nn.Dropout(network.dropout)]
        before = width
    return Stacked(nn.Sequential(*layers), nn.Linear(before, shape.classes))


def build_lenet(network: Network, shape: Shape) -> nn.Module:
    """Two convolutions of 5 x 5 with average pooling, two linear layers, as in 1998."""
    first, second = network.widths
    side = (shape.extent // 2 - 4) // 2
    features = nn.Sequential(
        nn.Conv2d(shape.channels, first, 5, padding=2), network.activate(), nn.AvgPool2d(2),
        nn.Conv2d(first, second, 5), network.activate(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(second * side**2, 120), network.activate(), nn.Dropout(network.dropout),
        nn.Linear(120, network.hidden), network.activate(),
    )  # fmt: skip
    return Stacked(features, nn.Linear(network.hidden, shape.classes))


def build_plain(network: Network, shape: Shape) -> nn.Module:
    """Convolutions of 3 x 3, halved by max pooling after each width, as in VGG."""
    layers: list[nn.Module] = []
    before, side = shape.channels, shape.extent
    for width in network.widths:
        for _ in range(network.depth):
            layers += [network.convolve(before, width), network.activate()]
            before = width
        layers += [nn.MaxPool2d(2), nn.Dropout(network.dropout)]
        side //= 2
    return _finish(network, layers, before, side, shape.classes)


def build_all_convolutional(network: Network, shape: Shape) -> nn.Module:
    """A plain network whose head is a 1 x 1 convolution, pooled behind it, as in SqueezeNet."""
    plain = build_plain(network, shape)
    features = plain.get_submodule("features")
    head = nn.Conv2d(network.widths[-1], shape.classes, 1)
    return nn.Sequential(features[:-2], head, nn.AdaptiveAvgPool2d(1), nn.Flatten())  # type: ignore[index]


def build_residual(network: Network, shape: Shape) -> nn.Module:
    """Basic blocks, halved by stride, as in ResNet."""
    before, side, layers = _make_stem(network, shape)
    for stage, width in enumerate(network.widths):
        for index in range(network.depth):
            stride = 2 if stage and not index else 1
            branch = nn.Sequential(
                network.convolve(before, width, 3, stride),
                network.activate(),
                network.convolve(width, width),
            )
            is_same = stride == 1 and before == width
            shortcut = nn.Identity() if is_same else network.convolve(before, width, 1, stride)
            layers.append(Residual(branch, shortcut, network.activate()))
            before = width
        side = -(-side // 2) if stage else side
    return _finish(network, layers, before, side, shape.classes)


def build_depthwise(network: Network, shape: Shape) -> nn.Module:
    """Inverted residuals around depthwise convolutions, as in MobileNet; V3's have `squeeze`."""
    before, side, layers = _make_stem(network, shape, most=14)
    squeezes = network.activation == "hard-swish"
    for stage, width in enumerate(network.widths):
        for index in range(network.depth):
            stride = 2 if stage and not index else 1
            inner = 3 * before
            branch = nn.Sequential(
                network.convolve(before, inner, 1), network.activate(),
                network.convolve(inner, inner, 3, stride, groups=inner), network.activate(),
                Squeeze(inner) if squeezes else nn.Identity(),
                network.convolve(inner, width, 1),
            )  # fmt: skip
            is_same = stride == 1 and before == width
            layers.append(Residual(branch, nn.Identity(), nn.Identity()) if is_same else branch)
            before = width
        side = -(-side // 2) if stage else side
    layers += [network.convolve(before, 4 * before, 1), network.activate()]
    return _finish(network, layers, 4 * before, side, shape.classes)


def build_vit(network: Network, shape: Shape) -> nn.Module:
    """A vision transformer of `depth` blocks, on eight patches a side."""
    (dim,) = network.widths
    transformer = VisionTransformer(
        shape.classes, shape.extent, shape.extent // 8, dim, network.depth, max(1, dim // 16)
    )
    transformer.embed = nn.Conv2d(shape.channels, dim, shape.extent // 8, shape.extent // 8)
    return transformer


def build_swin(network: Network, shape: Shape) -> nn.Module:
    """Attention in shifted windows."""
    return Swin(shape, network.widths, network.depth)


def build_convnext(network: Network, shape: Shape) -> nn.Module:
    """ConvNeXt, whose layer scale starts where a short training gets on."""
    convnext = ConvNeXt(shape.classes, network.widths, (network.depth,) * len(network.widths))
    convnext.features[0] = nn.Conv2d(shape.channels, network.widths[0], 4, 4)
    for name, parameter in convnext.named_parameters():
        if name.endswith("layer_scale"):
            nn.init.constant_(parameter, 0.1)
    return convnext


def build_mobilevit(network: Network, shape: Shape) -> nn.Module:
    """Strided convolutions, then blocks of convolutions around attention."""
    before, side, layers = _make_stem(network, shape, most=14)
    for width in network.widths[1:]:
        layers += [network.convolve(before, width, 3, 2), network.activate()]
        layers.append(MobileViTBlock(network, width))
        before, side = width, side // 2
    return _finish(network, layers, before, side, shape.classes)


def _make_stem(network: Network, shape: Shape, most: int = 32) -> tuple[int, int, list[nn.Module]]:
    """The first convolution, so strided that about `most` pixels a side go on."""
    stride = max(1, shape.extent // most)
    kernel = 3 if stride <= 2 else stride + 1  # noqa: PLR2004 - wide enough to see each pixel
    first = network.widths[0]
    layers = [network.convolve(shape.channels, first, kernel, stride), network.activate()]
    return first, -(-shape.extent // stride), layers


def _finish(
    network: Network, layers: list[nn.Module], channels: int, side: int, classes: int
) -> nn.Module:
    """Pooled features, or all of them through a hidden layer, and a linear classifier."""
    if not network.hidden:
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return Stacked(nn.Sequential(*layers), nn.Linear(channels, classes))
    layers += [
        nn.Flatten(),
        nn.Linear(channels * side**2, network.hidden),
        network.activate(),
        nn.Dropout(network.dropout),
    ]
    return Stacked(nn.Sequential(*layers), nn.Linear(network.hidden, classes))


FAMILIES: Mapping[str, Callable[[Network, Shape], nn.Module]] = {
    "mlp": build_mlp,
    "lenet": build_lenet,
    "plain": build_plain,
    "all-convolutional": build_all_convolutional,
    "residual": build_residual,
    "depthwise": build_depthwise,
    "vit": build_vit,
    "swin": build_swin,
    "convnext": build_convnext,
    "mobilevit": build_mobilevit,
}
