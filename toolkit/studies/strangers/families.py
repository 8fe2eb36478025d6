"""Kinds of network, small enough to train in seconds; each ends in `classifier`."""

from collections.abc import Callable, Mapping

from torch import nn

from architectures import ConvNeXt, VisionTransformer
from studies.strangers.blocks import (
    MobileViTBlock,
    Network,
    Residual,
    Shape,
    Squeeze,
    Stacked,
    Swin,
)


def build(network: Network, shape: Shape) -> nn.Module:
    """Build a network with new weights."""
    return FAMILIES[network.family](network, shape)


def build_mlp(network: Network, shape: Shape) -> nn.Module:
    """Build linear layers over the pixels."""
    layers: list[nn.Module] = [nn.Flatten()]
    before = shape.channels * shape.extent**2
    for width in network.widths:
        layers += [nn.Linear(before, width), network.activate(), nn.Dropout(network.dropout)]
        before = width
    return Stacked(nn.Sequential(*layers), nn.Linear(before, shape.classes))


def build_lenet(network: Network, shape: Shape) -> nn.Module:
    """Build two 5 x 5 convolutions with average pooling and two linear layers, as in 1998."""
    first, second = network.widths
    side = (shape.extent // 2 - 4) // 2
    features = nn.Sequential(
        nn.Conv2d(shape.channels, first, 5, padding=2), network.activate(), nn.AvgPool2d(2),
        nn.Conv2d(first, second, 5), network.activate(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(second * side**2, 120), network.activate(), nn.Dropout(network.dropout),
        nn.Linear(120, network.hidden), network.activate(),
    )  # fmt: skip
    return Stacked(features, nn.Linear(network.hidden, shape.classes))


def build_plain(network: Network, shape: Shape) -> nn.Module:
    """Build 3 x 3 convolutions with max pooling after each width, as in VGG."""
    layers: list[nn.Module] = []
    before, side = shape.channels, shape.extent
    for width in network.widths:
        for _ in range(network.depth):
            layers += [network.convolve(before, width), network.activate()]
            before = width
        layers += [nn.MaxPool2d(2), nn.Dropout(network.dropout)]
        side //= 2
    return _finish(network, layers, before, side, shape.classes)


def build_all_convolutional(network: Network, shape: Shape) -> nn.Module:
    """Build a plain network whose head is a 1 x 1 convolution before pooling, as in SqueezeNet."""
    plain = build_plain(network, shape)
    features = plain.get_submodule("features")
    head = nn.Conv2d(network.widths[-1], shape.classes, 1)
    return nn.Sequential(features[:-2], head, nn.AdaptiveAvgPool2d(1), nn.Flatten())  # type: ignore[index]


def build_residual(network: Network, shape: Shape) -> nn.Module:
    """Build basic blocks with strides, as in ResNet."""
    before, side, layers = _make_stem(network, shape)
    for stage, width in enumerate(network.widths):
        for index in range(network.depth):
            stride = 2 if stage and not index else 1
            branch = nn.Sequential(
                network.convolve(before, width, 3, stride),
                network.activate(),
                network.convolve(width, width),
            )
            is_same = stride == 1 and before == width
            shortcut = nn.Identity() if is_same else network.convolve(before, width, 1, stride)
            layers.append(Residual(branch, shortcut, network.activate()))
            before = width
        side = -(-side // 2) if stage else side
    return _finish(network, layers, before, side, shape.classes)


def build_depthwise(network: Network, shape: Shape) -> nn.Module:
    """Build inverted residuals, as in MobileNet; with hard-swish they have `Squeeze`, as in V3."""
    before, side, layers = _make_stem(network, shape, most=14)
    squeezes = network.activation == "hard-swish"
    for stage, width in enumerate(network.widths):
        for index in range(network.depth):
            stride = 2 if stage and not index else 1
            inner = 3 * before
            branch = nn.Sequential(
                network.convolve(before, inner, 1), network.activate(),
                network.convolve(inner, inner, 3, stride, groups=inner), network.activate(),
                Squeeze(inner) if squeezes else nn.Identity(),
                network.convolve(inner, width, 1),
            )  # fmt: skip
            is_same = stride == 1 and before == width
            layers.append(Residual(branch, nn.Identity(), nn.Identity()) if is_same else branch)
            before = width
        side = -(-side // 2) if stage else side
    layers += [network.convolve(before, 4 * before, 1), network.activate()]
    return _finish(network, layers, 4 * before, side, shape.classes)


def build_vit(network: Network, shape: Shape) -> nn.Module:
    """Build a vision transformer of `depth` blocks, on 8 x 8 patches."""
    (dim,) = network.widths
    transformer = VisionTransformer(
        shape.classes, shape.extent, shape.extent // 8, dim, network.depth, max(1, dim // 16)
    )
    transformer.embed = nn.Conv2d(shape.channels, dim, shape.extent // 8, shape.extent // 8)
    return transformer


def build_swin(network: Network, shape: Shape) -> nn.Module:
    """Build a network with attention in shifted windows."""
    return Swin(shape, network.widths, network.depth)


def build_convnext(network: Network, shape: Shape) -> nn.Module:
    """Build a ConvNeXt with a larger initial layer scale, which a short training needs."""
    convnext = ConvNeXt(shape.classes, network.widths, (network.depth,) * len(network.widths))
    convnext.features[0] = nn.Conv2d(shape.channels, network.widths[0], 4, 4)
    for name, parameter in convnext.named_parameters():
        if name.endswith("layer_scale"):
            nn.init.constant_(parameter, 0.1)
    return convnext


def build_mobilevit(network: Network, shape: Shape) -> nn.Module:
    """Build strided convolutions, then blocks of convolutions around attention."""
    before, side, layers = _make_stem(network, shape, most=14)
    for width in network.widths[1:]:
        layers += [network.convolve(before, width, 3, 2), network.activate()]
        layers.append(MobileViTBlock(network, width))
        before, side = width, side // 2
    return _finish(network, layers, before, side, shape.classes)


def _make_stem(network: Network, shape: Shape, most: int = 32) -> tuple[int, int, list[nn.Module]]:
    """Make the first convolution, with a stride that leaves about `most` pixels a side."""
    stride = max(1, shape.extent // most)
    kernel = 3 if stride <= 2 else stride + 1  # noqa: PLR2004 - wide enough to see each pixel
    first = network.widths[0]
    layers = [network.convolve(shape.channels, first, kernel, stride), network.activate()]
    return first, -(-shape.extent // stride), layers


def _finish(
    network: Network, layers: list[nn.Module], channels: int, side: int, classes: int
) -> nn.Module:
    """Add pooling, or a hidden layer over all features, and a linear classifier."""
    if not network.hidden:
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return Stacked(nn.Sequential(*layers), nn.Linear(channels, classes))
    layers += [
        nn.Flatten(),
        nn.Linear(channels * side**2, network.hidden),
        network.activate(),
        nn.Dropout(network.dropout),
    ]
    return Stacked(nn.Sequential(*layers), nn.Linear(network.hidden, classes))


FAMILIES: Mapping[str, Callable[[Network, Shape], nn.Module]] = {
    "mlp": build_mlp,
    "lenet": build_lenet,
    "plain": build_plain,
    "all-convolutional": build_all_convolutional,
    "residual": build_residual,
    "depthwise": build_depthwise,
    "vit": build_vit,
    "swin": build_swin,
    "convnext": build_convnext,
    "mobilevit": build_mobilevit,
}
