"""Normalization, with the statistics of inference."""

from torch.nn import functional

from nhle_onnx.lowering.node import Node, Value


def batch_normalization(
    node: Node, x: Value, scale: Value, bias: Value, mean: Value, variance: Value
) -> Value:
    """BatchNormalization by its stored statistics, which training never updates."""
    return functional.batch_norm(
        x, mean, variance, scale, bias, training=False, eps=node.get("epsilon", 1e-5)
    )
