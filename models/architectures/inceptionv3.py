"""InceptionV3: Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016,
Table 1, with the widths and the 5x5 convolutions of the model that its authors released.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

AUXILIARY_SIDE = 17  # where the auxiliary head sits on 299x299 images


def _conv(
    channels_in: int,
    channels_out: int,
    kernel: tuple[int, int] = (1, 1),
    stride: int = 1,
    *,
    is_padded: bool = True,
) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2) if is_padded else 0
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(channels_out, eps=1e-3),
        nn.ReLU(),
    )


def _pooled(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(nn.AvgPool2d(3, 1, padding=1), _conv(channels_in, channels_out))


class Branches(nn.Module):
    """Branches side by side, their maps concatenated."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, features: Tensor) -> Tensor:
        """All branches' maps, [N, sum of their channels, H', W']."""
        return torch.cat([branch(features) for branch in self.branches], dim=1)


def _block_35(channels: int, pooled: int) -> Branches:
    """Fig. 5; 224 + `pooled` channels."""
    return Branches(
        _conv(channels, 64),
        nn.Sequential(_conv(channels, 48), _conv(48, 64, (5, 5))),
        nn.Sequential(_conv(channels, 64), _conv(64, 96, (3, 3)), _conv(96, 96, (3, 3))),
        _pooled(channels, pooled),
    )


def _reduce_to_17(channels: int) -> Branches:
    """Fig. 10; 480 channels more."""
    return Branches(
        _conv(channels, 384, (3, 3), 2, is_padded=False),
        nn.Sequential(
            _conv(channels, 64), _conv(64, 96, (3, 3)), _conv(96, 96, (3, 3), 2, is_padded=False)
        ),
        nn.MaxPool2d(3, 2),
    )


def _block_17(inner: int) -> Branches:
    """Fig. 6 with n = 7; 768 channels."""
    return Branches(
        _conv(768, 192),
        nn.Sequential(_conv(768, inner), _conv(inner, inner, (1, 7)), _conv(inner, 192, (7, 1))),
        nn.Sequential(
            _conv(768, inner),
            _conv(inner, inner, (7, 1)),
            _conv(inner, inner, (1, 7)),
            _conv(inner, inner, (7, 1)),
            _conv(inner, 192, (1, 7)),
        ),
        _pooled(768, 192),
    )


def _reduce_to_8() -> Branches:
    """Fig. 10 on 768 channels; 1280 channels."""
    return Branches(
        nn.Sequential(_conv(768, 192), _conv(192, 320, (3, 3), 2, is_padded=False)),
        nn.Sequential(
            _conv(768, 192),
            _conv(192, 192, (1, 7)),
            _conv(192, 192, (7, 1)),
            _conv(192, 192, (3, 3), 2, is_padded=False),
        ),
        nn.MaxPool2d(3, 2),
    )


def _block_8(channels: int) -> Branches:
    """Fig. 7; 2048 channels."""
    return Branches(
        _conv(channels, 320),
        nn.Sequential(_conv(channels, 384), _spread()),
        nn.Sequential(_conv(channels, 448), _conv(448, 384, (3, 3)), _spread()),
        _pooled(channels, 192),
    )


def _spread() -> Branches:
    return Branches(_conv(384, 384, (1, 3)), _conv(384, 384, (3, 1)))


class AuxiliaryHead(nn.Module):
    """A classifier on the 17x17 maps (Fig. 8). Maps too small to pool are padded to 5x5 instead."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.reduce = _conv(768, 128)
        self.convolve = _conv(128, 768, (5, 5), is_padded=False)
        self.classifier = nn.Linear(768, num_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Auxiliary logits [N, num_classes] of features [N, 768, H, W]."""
        side = min(int(features.shape[2]), int(features.shape[3]))
        if side >= AUXILIARY_SIDE:
            features = functional.avg_pool2d(features, 5, 3)
        else:
            missing = max(0, 5 - side)
            begin, end = missing // 2, missing - missing // 2
            features = functional.pad(features, (begin, end, begin, end))
        maps = self.convolve(self.reduce(features))
        logits: Tensor = self.classifier(maps.mean(dim=(2, 3)))
        return logits


class InceptionV3(nn.Module):
    """Takes [N, 3, H, W] from 75x75 on, returns logits [N, num_classes].

    With `auxiliary`, training returns a second tensor of logits of the same shape, and with
    `auxiliary_in_inference` so does inference.
    """

    def __init__(
        self,
        num_classes: int = 10,
        *,
        auxiliary: bool = True,
        auxiliary_in_inference: bool = False,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _conv(3, 32, (3, 3), 2, is_padded=False),
            _conv(32, 32, (3, 3), is_padded=False),
            _conv(32, 64, (3, 3)),
            nn.MaxPool2d(3, 2),
            _conv(64, 80),
            _conv(80, 192, (3, 3), is_padded=False),
            nn.MaxPool2d(3, 2),
        )
        self.features = nn.Sequential(
            *(_block_35(192, 32), _block_35(256, 64), _block_35(288, 64), _reduce_to_17(288)),
            *(_block_17(128), _block_17(160), _block_17(160), _block_17(192)),
        )
        self.auxiliary = AuxiliaryHead(num_classes) if auxiliary else None
        self.auxiliary_in_inference = auxiliary_in_inference
        self.last = nn.Sequential(
            *(_reduce_to_8(), _block_8(1280), _block_8(2048)),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout()),
        )
        self.classifier = nn.Linear(2048, num_classes)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits of a batch of images, and the auxiliary head's where it takes part."""
        features = self.features(self.stem(images))
        logits: Tensor = self.classifier(self.last(features))
        if self.auxiliary is None or not (self.training or self.auxiliary_in_inference):
            return logits
        return logits, self.auxiliary(features)
