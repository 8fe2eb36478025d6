"""What several of the papers build from: a normalised convolution, and widths in eights."""

from torch import nn


def conv_bn(
    channels_in: int,
    channels_out: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = None,
    eps: float = 1e-5,
    momentum: float = 0.1,
) -> nn.Sequential:
    """Convolution padded by half its kernel, batch normalisation, and an activation if given."""
    layers: list[nn.Module] = [
        nn.Conv2d(
            channels_in, channels_out, kernel, stride, kernel // 2, groups=groups, bias=False
        ),
        nn.BatchNorm2d(channels_out, eps=eps, momentum=momentum),
    ]
    return nn.Sequential(*layers, *([activation()] if activation else []))


def divisible_by_8(channels: float) -> int:
    """Nearest multiple of 8 that does not fall below 90 % of the value asked for."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8
