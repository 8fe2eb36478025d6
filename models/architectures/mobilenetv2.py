"""MobileNetV2: Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", 2018,
Table 2.
"""

from torch import Tensor, nn

from architectures.layers import conv_bn

# Expansion, channels, blocks, stride of the first block.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM_CHANNELS = 32
LAST_CHANNELS = 1280


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, linear projection (Table 1)."""

    def __init__(self, channels_in: int, channels_out: int, expansion: int, stride: int) -> None:
        super().__init__()
        inner = expansion * channels_in
        layers = [conv_bn(channels_in, inner, activation=nn.ReLU6)] if expansion > 1 else []
        self.layers = nn.Sequential(
            *layers,
            conv_bn(inner, inner, 3, stride, groups=inner, activation=nn.ReLU6),
            conv_bn(inner, channels_out),
        )
        self.is_residual = stride == 1 and channels_in == channels_out

    def forward(self, features: Tensor) -> Tensor:
        """Features of the next resolution, [N, channels_out, H', W']."""
        out: Tensor = self.layers(features)
        return features + out if self.is_residual else out


class MobileNetV2(nn.Module):
    """Width 1.0; takes [N, 3, H, W], returns logits [N, num_classes]."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv_bn(3, STEM_CHANNELS, 3, 2, activation=nn.ReLU6)]
        channels = STEM_CHANNELS
        for expansion, width, depth, stride in STAGES:
            for index in range(depth):
                layers.append(InvertedResidual(channels, width, expansion, 1 if index else stride))
                channels = width
        layers.append(conv_bn(channels, LAST_CHANNELS, activation=nn.ReLU6))
        self.features = nn.Sequential(
            *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2)
        )
        self.classifier = nn.Linear(LAST_CHANNELS, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        logits: Tensor = self.classifier(self.features(images))
        return logits
