"""ResNet: He et al., "Deep residual learning for image recognition", 2016, Table 1."""

from collections.abc import Sequence

from torch import Tensor, nn

from architectures.layers import conv_bn

WIDTHS = (64, 128, 256, 512)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, projected where the shape changes (§3.3, B)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            conv_bn(channels_in, channels_out, 3, stride, activation=nn.ReLU),
            conv_bn(channels_out, channels_out, 3),
        )
        is_identity = stride == 1 and channels_in == channels_out
        self.shortcut = (
            nn.Identity() if is_identity else conv_bn(channels_in, channels_out, 1, stride)
        )
        self.activation = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """Features of the next resolution, [N, channels_out, H', W']."""
        out: Tensor = self.activation(self.residual(features) + self.shortcut(features))
        return out


class ResNet(nn.Module):
    """Four stages of basic blocks; takes [N, 3, H, W], returns logits [N, num_classes].

    `small_input` takes a 3x3 stem without pooling, as §4.2 does for 32x32 images.
    """

    def __init__(self, depths: Sequence[int], num_classes: int, *, small_input: bool) -> None:
        super().__init__()
        channels = WIDTHS[0]
        if small_input:
            self.stem = conv_bn(3, channels, 3, activation=nn.ReLU)
        else:
            self.stem = conv_bn(3, channels, 7, 2, activation=nn.ReLU)
            self.stem.append(nn.MaxPool2d(3, 2, padding=1))
        blocks: list[nn.Module] = []
        for stage, (width, depth) in enumerate(zip(WIDTHS, depths, strict=True)):
            for index in range(depth):
                blocks.append(BasicBlock(channels, width, 2 if stage and not index else 1))
                channels = width
        self.features = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        logits: Tensor = self.classifier(self.features(self.stem(images)))
        return logits


def resnet18(num_classes: int = 10, *, small_input: bool = False) -> ResNet:
    """The 18-layer network."""
    return ResNet((2, 2, 2, 2), num_classes, small_input=small_input)


def resnet34(num_classes: int = 10, *, small_input: bool = False) -> ResNet:
    """The 34-layer network."""
    return ResNet((3, 4, 6, 3), num_classes, small_input=small_input)
