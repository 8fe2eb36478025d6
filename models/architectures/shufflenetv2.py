"""ShuffleNetV2: Ma et al., "ShuffleNet V2: practical guidelines for efficient CNN architecture
design", 2018, Table 5 and Fig. 3.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from architectures.layers import conv_bn

STEM_CHANNELS = 24
LAST_CHANNELS = 1024


def _shuffle(features: Tensor) -> Tensor:
    """Channels of both halves in turn."""
    count, channels, height, width = features.shape
    halves = features.reshape(count, 2, channels // 2, height, width)
    return halves.transpose(1, 2).reshape(count, channels, height, width)


def _main_branch(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        conv_bn(channels_in, channels_out, activation=nn.ReLU),
        conv_bn(channels_out, channels_out, 3, stride, groups=channels_out),
        conv_bn(channels_out, channels_out, activation=nn.ReLU),
    )


class Unit(nn.Module):
    """Half of the channels passes unchanged (Fig. 3c)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.main = _main_branch(channels // 2, channels // 2, stride=1)

    def forward(self, features: Tensor) -> Tensor:
        """Features [N, C, H, W]."""
        passed, changed = features.chunk(2, dim=1)
        return _shuffle(torch.cat([passed, self.main(changed)], dim=1))


class DownsamplingUnit(nn.Module):
    """Both branches see all channels at half the resolution (Fig. 3d)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.side = nn.Sequential(
            conv_bn(channels_in, channels_in, 3, 2, groups=channels_in),
            conv_bn(channels_in, channels_out // 2, activation=nn.ReLU),
        )
        self.main = _main_branch(channels_in, channels_out // 2, stride=2)

    def forward(self, features: Tensor) -> Tensor:
        """Features [N, channels_out, H / 2, W / 2]."""
        return _shuffle(torch.cat([self.side(features), self.main(features)], dim=1))


class ShuffleNetV2(nn.Module):
    """Three stages; takes [N, 3, H, W], returns logits [N, num_classes]. The defaults are 1x."""

    def __init__(
        self,
        num_classes: int = 10,
        widths: Sequence[int] = (116, 232, 464),
        depths: Sequence[int] = (4, 8, 4),
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            conv_bn(3, STEM_CHANNELS, 3, 2, activation=nn.ReLU),
            nn.MaxPool2d(3, 2, padding=1),
        ]
        channels = STEM_CHANNELS
        for width, depth in zip(widths, depths, strict=True):
            layers.append(DownsamplingUnit(channels, width))
            layers += [Unit(width) for _ in range(depth - 1)]
            channels = width
        layers.append(conv_bn(channels, LAST_CHANNELS, activation=nn.ReLU))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(LAST_CHANNELS, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        logits: Tensor = self.classifier(self.features(images).mean(dim=(2, 3)))
        return logits
