"""Normalization, with inference statistics."""

import torch
from torch import Tensor
from torch.nn import functional

from nhle_onnx.lowering.node import Node, recorded, unpack

_EPSILON = 1e-5


def batch_normalization(
    node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    """BatchNormalization with its stored statistics, which training never updates."""
    if node.get("training_mode", 0):
        raise node.refuse("in training mode")
    if not node.get("spatial", 1):
        raise node.refuse("with spatial=0")
    return functional.batch_norm(
        x, mean, variance, scale, bias, training=False, eps=node.get("epsilon", _EPSILON)
    )


def instance_normalization(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """InstanceNormalization of each plane."""
    return functional.instance_norm(x, weight=scale, bias=bias, eps=node.get("epsilon", _EPSILON))


def group_normalization(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """GroupNormalization with a scale for each channel (opset 21)."""
    return functional.group_norm(
        x, node.get("num_groups"), scale, bias, node.get("epsilon", _EPSILON)
    )


def group_normalization_by_group(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """GroupNormalization with a scale for each group (opsets 18 to 20)."""
    groups = node.get("num_groups")
    scale, bias = spread_over_channels(scale, x), spread_over_channels(bias, x)
    return functional.group_norm(x, groups, scale, bias, node.get("epsilon", _EPSILON))


@recorded
def spread_over_channels(by_group: Tensor, x: Tensor) -> Tensor:
    """Expand a value for each group to one for each channel."""
    return by_group.repeat_interleave(x.shape[1] // by_group.shape[0])


def layer_normalization(
    node: Node, x: Tensor, scale: Tensor, bias: Tensor | None = None
) -> Tensor | tuple[Tensor, ...]:
    """LayerNormalization over all axes from `axis` on, with its statistics if they are outputs."""
    axis, epsilon = node.get("axis", -1), node.get("epsilon", _EPSILON)
    result = normalize_layer(x, scale, bias, axis, epsilon)
    if node.num_outputs == 1:
        return result
    return result, *unpack(find_statistics(x, axis, epsilon), 2)


@recorded
def normalize_layer(
    x: Tensor, scale: Tensor, bias: Tensor | None, axis: int, epsilon: float
) -> Tensor:
    """Normalize in one call if scale and bias have the normalized shape; else apply them later."""
    shape = x.shape[axis:]
    if scale.shape == shape and (bias is None or bias.shape == shape):
        return functional.layer_norm(x, shape, scale, bias, epsilon)
    scaled = functional.layer_norm(x, shape, None, None, epsilon) * scale
    return scaled if bias is None else scaled + bias


@recorded
def find_statistics(x: Tensor, axis: int, epsilon: float) -> tuple[Tensor, Tensor]:
    """Return mean and inverse standard deviation over all axes from `axis` on, kept as ones."""
    dims = tuple(range(axis % x.ndim, x.ndim))
    variance, mean = torch.var_mean(x, dims, correction=0, keepdim=True)
    return mean, torch.rsqrt(variance + epsilon)


def rms_normalization(node: Node, x: Tensor, scale: Tensor) -> Tensor:
    """RMSNormalization over all axes from `axis` on."""
    return normalize_rms(x, scale, node.get("axis", -1), node.get("epsilon", _EPSILON))


@recorded
def normalize_rms(x: Tensor, scale: Tensor, axis: int, epsilon: float) -> Tensor:
    """Normalize in one call if the scale has the normalized shape; else apply it afterwards."""
    shape = x.shape[axis:]
    if scale.shape == shape:
        return functional.rms_norm(x, shape, scale, epsilon)
    return functional.rms_norm(x, shape, None, epsilon) * scale


def mean_variance_normalization(node: Node, x: Tensor) -> Tensor:
    """MeanVarianceNormalization over `axes`, by default all except the channels of an image."""
    axes = tuple(node.get("axes", (0, 2, 3)))
    centred = x - torch.mean(x, dim=axes, keepdim=True)
    deviation = torch.sqrt(torch.mean(centred * centred, dim=axes, keepdim=True))
    return centred / (deviation + 1e-9)


def lrn(node: Node, x: Tensor) -> Tensor:
    """LRN: torch's own, for odd sizes; ONNX Runtime supports no others."""
    size = node.get("size")
    if size % 2 == 0:
        raise node.refuse(f"over {size} channels, an even number,")
    constants = (node.get("alpha", 1e-4), node.get("beta", 0.75), node.get("bias", 1.0))
    return functional.local_response_norm(x, size, *constants)


def lp_normalization(node: Node, x: Tensor) -> Tensor:
    """LpNormalization along one axis."""
    return functional.normalize(x, float(node.get("p", 2)), node.get("axis", -1))


def scaler(node: Node, x: Tensor) -> Tensor:
    """Scaler of ai.onnx.ml: features less an offset, times a scale."""
    return scale_features(x, node.get("offset"), node.get("scale"))


@recorded
def scale_features(x: Tensor, offset: list[float], scale: list[float]) -> Tensor:
    """Subtract an offset for each feature, or one for all, and multiply likewise."""
    return (x - x.new_tensor(offset)) * x.new_tensor(scale)
