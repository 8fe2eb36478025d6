"""EfficientNet: Tan & Le, "EfficientNet: rethinking model scaling for convolutional neural
networks", 2019, Table 1 (B0), padded as TensorFlow pads.
"""

from torch import Tensor, nn
from torch.nn import functional

# Kernel, expansion, channels, blocks, stride of the first block.
STAGES = (
    (3, 1, 16, 1, 1),
    (3, 6, 24, 2, 2),
    (5, 6, 40, 2, 2),
    (3, 6, 80, 3, 2),
    (5, 6, 112, 3, 1),
    (5, 6, 192, 4, 2),
    (3, 6, 320, 1, 1),
)
STEM_CHANNELS = 32
LAST_CHANNELS = 1280


class SamePad(nn.Module):
    """TensorFlow's SAME padding, from the input's size: an odd pixel goes to the end."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride

    def forward(self, features: Tensor) -> Tensor:
        """Features so padded that a convolution leaves ceil(H / stride) rows."""
        pads: list[int] = []
        for extent in (features.shape[3], features.shape[2]):
            steps = -(-extent // self.stride)
            missing = max((steps - 1) * self.stride + self.kernel - extent, 0)
            pads += [missing // 2, missing - missing // 2]
        return functional.pad(features, pads)


def _conv(
    channels_in: int,
    channels_out: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    *,
    is_linear: bool = False,
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(channels_in, channels_out, kernel, stride, groups=groups, bias=False),
        nn.BatchNorm2d(channels_out, eps=1e-3, momentum=0.01),
    ]
    padding = [SamePad(kernel, stride)] if kernel > 1 else []
    return nn.Sequential(*padding, *layers, *([] if is_linear else [nn.SiLU()]))


class SqueezeExcite(nn.Module):
    """Channel gate, reduced to a quarter of the block's input."""

    def __init__(self, channels: int, reduced: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, reduced, 1),
            nn.SiLU(),
            nn.Conv2d(reduced, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Gated features, [N, C, H, W]."""
        gated: Tensor = features * self.gate(features)
        return gated


class MBConv(nn.Module):
    """Expansion, depthwise convolution, squeeze-and-excite, linear projection."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, expansion: int, stride: int
    ) -> None:
        super().__init__()
        inner = expansion * channels_in
        self.layers = nn.Sequential(
            *([_conv(channels_in, inner)] if expansion > 1 else []),
            _conv(inner, inner, kernel, stride, groups=inner),
            SqueezeExcite(inner, channels_in // 4),
            _conv(inner, channels_out, is_linear=True),
        )
        self.is_residual = stride == 1 and channels_in == channels_out

    def forward(self, features: Tensor) -> Tensor:
        """Features of the next resolution, [N, channels_out, H', W']."""
        out: Tensor = self.layers(features)
        return features + out if self.is_residual else out


class EfficientNetB0(nn.Module):
    """B0 without stochastic depth; takes [N, 3, H, W], returns logits [N, num_classes]."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(3, STEM_CHANNELS, 3, 2)]
        channels = STEM_CHANNELS
        for kernel, expansion, width, depth, stride in STAGES:
            for index in range(depth):
                layers.append(MBConv(channels, width, kernel, expansion, 1 if index else stride))
                channels = width
        layers.append(_conv(channels, LAST_CHANNELS))
        self.features = nn.Sequential(
            *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2)
        )
        self.classifier = nn.Linear(LAST_CHANNELS, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        logits: Tensor = self.classifier(self.features(images))
        return logits
