"""What a lowered network takes and gives."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nhle_onnx.unlearning.feature_alignment import pool_features
from nhle_onnx.values.preprocess import Layout


class Outputs(NamedTuple):
    """What a network makes of a batch: logits [N, K] and the head's features [N, D]."""

    logits: Tensor
    features: Tensor


def to_inputs(images: Tensor, layout: Layout, device: torch.device) -> Tensor:
    """Return images [N, C, H, W] as the network takes them. Channels lie last in memory: on a CPU
    that makes depthwise convolution several times faster.
    """
    placed = images.to(device).contiguous(memory_format=torch.channels_last)
    return placed if layout == "NCHW" else placed.permute(0, 2, 3, 1)


def run(module: nn.Module, inputs: Tensor) -> Outputs:
    """Run a module that gives a pair: scores and features."""
    logits, features = module(inputs)
    return Outputs(logits=logits.flatten(1), features=pool_features(features))


def join(first: Outputs, second: Outputs | None) -> Outputs:
    """Put two batches after each other, if there is a second."""
    if second is None:
        return first
    return Outputs(*(torch.cat(pair) for pair in zip(first, second, strict=True)))


def require_finite(outputs: Outputs, who: str) -> None:
    """Raise FloatingPointError where a network computes NaN or infinity."""
    for name, values in outputs._asdict().items():
        if not torch.isfinite(values).all():
            raise FloatingPointError(f"{who} gives {name} that are not finite")
