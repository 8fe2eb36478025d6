"""MobileNetV3: Howard et al., "Searching for MobileNetV3", 2019, Tables 1 (Large) and 2 (Small)."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from architectures.layers import conv_bn, divisible_by_8


class Block(NamedTuple):
    """One row of the paper's tables."""

    kernel: int
    expanded: int
    out: int
    squeeze: bool
    hard_swish: bool
    stride: int


LARGE = (
    Block(3, 16, 16, squeeze=False, hard_swish=False, stride=1),
    Block(3, 64, 24, squeeze=False, hard_swish=False, stride=2),
    Block(3, 72, 24, squeeze=False, hard_swish=False, stride=1),
    Block(5, 72, 40, squeeze=True, hard_swish=False, stride=2),
    Block(5, 120, 40, squeeze=True, hard_swish=False, stride=1),
    Block(5, 120, 40, squeeze=True, hard_swish=False, stride=1),
    Block(3, 240, 80, squeeze=False, hard_swish=True, stride=2),
    Block(3, 200, 80, squeeze=False, hard_swish=True, stride=1),
    Block(3, 184, 80, squeeze=False, hard_swish=True, stride=1),
    Block(3, 184, 80, squeeze=False, hard_swish=True, stride=1),
    Block(3, 480, 112, squeeze=True, hard_swish=True, stride=1),
    Block(3, 672, 112, squeeze=True, hard_swish=True, stride=1),
    Block(5, 672, 160, squeeze=True, hard_swish=True, stride=2),
    Block(5, 960, 160, squeeze=True, hard_swish=True, stride=1),
    Block(5, 960, 160, squeeze=True, hard_swish=True, stride=1),
)
SMALL = (
    Block(3, 16, 16, squeeze=True, hard_swish=False, stride=2),
    Block(3, 72, 24, squeeze=False, hard_swish=False, stride=2),
    Block(3, 88, 24, squeeze=False, hard_swish=False, stride=1),
    Block(5, 96, 40, squeeze=True, hard_swish=True, stride=2),
    Block(5, 240, 40, squeeze=True, hard_swish=True, stride=1),
    Block(5, 240, 40, squeeze=True, hard_swish=True, stride=1),
    Block(5, 120, 48, squeeze=True, hard_swish=True, stride=1),
    Block(5, 144, 48, squeeze=True, hard_swish=True, stride=1),
    Block(5, 288, 96, squeeze=True, hard_swish=True, stride=2),
    Block(5, 576, 96, squeeze=True, hard_swish=True, stride=1),
    Block(5, 576, 96, squeeze=True, hard_swish=True, stride=1),
)
STEM_CHANNELS = 16
_conv_bn = partial(conv_bn, eps=1e-3, momentum=0.01)


class SqueezeExcite(nn.Module):
    """Channel gate with a hard sigmoid (§5.3 of the paper: reduced to 1/4 of the expansion)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        reduced = divisible_by_8(channels / 4)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, reduced, 1),
            nn.ReLU(),
            nn.Conv2d(reduced, channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Gated features, [N, C, H, W]."""
        gated: Tensor = features * self.gate(features)
        return gated


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, squeeze-and-excite, linear projection (Fig. 4)."""

    def __init__(self, channels_in: int, block: Block) -> None:
        super().__init__()
        activation = nn.Hardswish if block.hard_swish else nn.ReLU
        layers: list[nn.Module] = []
        if block.expanded != channels_in:
            layers.append(_conv_bn(channels_in, block.expanded, activation=activation))
        layers.append(
            _conv_bn(
                block.expanded,
                block.expanded,
                block.kernel,
                block.stride,
                groups=block.expanded,
                activation=activation,
            )
        )
        if block.squeeze:
            layers.append(SqueezeExcite(block.expanded))
        layers.append(_conv_bn(block.expanded, block.out))
        self.layers = nn.Sequential(*layers)
        self.is_residual = block.stride == 1 and channels_in == block.out

    def forward(self, features: Tensor) -> Tensor:
        """Features of the next resolution, [N, block.out, H', W']."""
        out: Tensor = self.layers(features)
        return features + out if self.is_residual else out


class MobileNetV3(nn.Module):
    """A stack of paper blocks; takes [N, 3, H, W], returns logits [N, num_classes]."""

    def __init__(self, blocks: Sequence[Block], last_channels: int, num_classes: int) -> None:
        super().__init__()
        stages: list[nn.Module] = [_conv_bn(3, STEM_CHANNELS, 3, 2, activation=nn.Hardswish)]
        channels = STEM_CHANNELS
        for block in blocks:
            stages.append(InvertedResidual(channels, block))
            channels = block.out
        stages.append(_conv_bn(channels, 6 * channels, activation=nn.Hardswish))
        self.features = nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.neck = nn.Sequential(
            nn.Linear(6 * channels, last_channels), nn.Hardswish(), nn.Dropout(0.2)
        )
        self.classifier = nn.Linear(last_channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        logits: Tensor = self.classifier(self.neck(self.features(images)))
        return logits


def mobilenet_v3_large(num_classes: int = 10) -> MobileNetV3:
    """MobileNetV3-Large, width 1.0 (Table 1)."""
    return MobileNetV3(LARGE, last_channels=1280, num_classes=num_classes)


def mobilenet_v3_small(num_classes: int = 10) -> MobileNetV3:
    """MobileNetV3-Small, width 1.0 (Table 2)."""
    return MobileNetV3(SMALL, last_channels=1024, num_classes=num_classes)
