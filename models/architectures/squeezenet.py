"""SqueezeNet: Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters",
2016, Table 1, in the version 1.1 that its authors released after the paper.
"""

import torch
from torch import Tensor, nn

STAGES = (
    ((16, 64), (16, 64)),
    ((32, 128), (32, 128)),
    ((48, 192), (48, 192), (64, 256), (64, 256)),
)


class Fire(nn.Module):
    """A 1x1 squeeze, then 1x1 and 3x3 expansions side by side (§3.2, Fig. 1)."""

    def __init__(self, channels_in: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(nn.Conv2d(channels_in, squeezed, 1), nn.ReLU())
        self.expand1 = nn.Sequential(nn.Conv2d(squeezed, expanded, 1), nn.ReLU())
        self.expand3 = nn.Sequential(nn.Conv2d(squeezed, expanded, 3, padding=1), nn.ReLU())

    def forward(self, features: Tensor) -> Tensor:
        """Features [N, 2 * expanded, H, W]."""
        squeezed = self.squeeze(features)
        return torch.cat([self.expand1(squeezed), self.expand3(squeezed)], dim=1)


class SqueezeNet(nn.Module):
    """SqueezeNet 1.1; takes [N, 3, H, W], returns logits [N, num_classes].

    The head is the paper's: a 1x1 convolution, ReLU, and the mean of each map. No logit is below 0.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        channels = 64
        layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, 2), nn.ReLU()]
        for stage in STAGES:
            layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
            for squeezed, expanded in stage:
                layers.append(Fire(channels, squeezed, expanded))
                channels = 2 * expanded
        self.features = nn.Sequential(*layers, nn.Dropout())
        self.classifier = nn.Conv2d(channels, num_classes, 1)
        self.pool = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        logits: Tensor = self.pool(self.classifier(self.features(images)))
        return logits
