"""Normalization, with the statistics of inference."""

from torch import Tensor
from torch.nn import functional

from nhle_onnx.lowering.node import Node


def batch_normalization(
    node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    """BatchNormalization by its stored statistics, which training never updates."""
    return functional.batch_norm(
        x, mean, variance, scale, bias, training=False, eps=node.get("epsilon", 1e-5)
    )
