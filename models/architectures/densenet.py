"""DenseNet: Huang et al., "Densely connected convolutional networks", 2017, Table 1."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

BOTTLENECK = 4  # 1x1 convolutions make 4k maps (§3, bottleneck layers)


def _bn_conv(channels_in: int, channels_out: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm2d(channels_in),
        nn.ReLU(),
        nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False),
    )


class DenseLayer(nn.Module):
    """BN-ReLU-Conv(1x1)-BN-ReLU-Conv(3x3), its `growth` maps appended to what it was given."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _bn_conv(channels, BOTTLENECK * growth, 1), _bn_conv(BOTTLENECK * growth, growth, 3)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features [N, C + growth, H, W]."""
        return torch.cat([features, self.layers(features)], dim=1)


class DenseNet(nn.Module):
    """DenseNet-BC, halved between blocks; takes [N, 3, H, W], returns logits [N, num_classes].

    The defaults are DenseNet-121.
    """

    def __init__(
        self,
        num_classes: int = 10,
        blocks: Sequence[int] = (6, 12, 24, 16),
        growth: int = 32,
    ) -> None:
        super().__init__()
        channels = 2 * growth
        layers: list[nn.Module] = [
            nn.Conv2d(3, channels, 7, 2, padding=3, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, padding=1),
        ]
        for index, depth in enumerate(blocks):
            if index:
                layers += [_bn_conv(channels, channels // 2, 1), nn.AvgPool2d(2)]
                channels //= 2
            layers += [DenseLayer(channels + growth * step, growth) for step in range(depth)]
            channels += growth * depth
        layers += [nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        logits: Tensor = self.classifier(self.features(images))
        return logits
