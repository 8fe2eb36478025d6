"""ConvNeXt: Liu et al., "A ConvNet for the 2020s", 2022, Table 9 and Fig. 4."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

EPSILON = 1e-6
LAYER_SCALE = 1e-6


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of [N, C, H, W]."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPSILON)

    def forward(self, features: Tensor) -> Tensor:
        """Normalised features, [N, C, H, W]."""
        return super().forward(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """Depthwise 7x7, layer norm, two pointwise layers with GELU between, layer scale (Fig. 4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.pointwise = nn.Sequential(
            nn.LayerNorm(channels, eps=EPSILON),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
        )
        self.layer_scale = nn.Parameter(torch.full((channels,), LAYER_SCALE))

    def forward(self, features: Tensor) -> Tensor:
        """Features [N, C, H, W]; the pointwise layers run on [N, H, W, C]."""
        changed = self.pointwise(self.depthwise(features).permute(0, 2, 3, 1))
        out: Tensor = features + (self.layer_scale * changed).permute(0, 3, 1, 2)
        return out


class ConvNeXt(nn.Module):
    """Takes [N, 3, H, W], returns logits [N, num_classes]. The defaults are ConvNeXt-T.

    Stochastic depth is left out.
    """

    def __init__(
        self,
        num_classes: int = 10,
        widths: Sequence[int] = (96, 192, 384, 768),
        depths: Sequence[int] = (3, 3, 9, 3),
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, 4), ChannelNorm(widths[0])]
        channels = widths[0]
        for width, depth in zip(widths, depths, strict=True):
            if width != channels:
                layers += [ChannelNorm(channels), nn.Conv2d(channels, width, 2, 2)]
                channels = width
            layers += [Block(channels) for _ in range(depth)]
        self.features = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(channels, eps=EPSILON)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        logits: Tensor = self.classifier(self.norm(self.features(images).mean(dim=(2, 3))))
        return logits
