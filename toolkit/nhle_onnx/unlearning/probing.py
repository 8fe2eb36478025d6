"""What a network itself says of its samples, before training: the spread of its logits, and which
views of an image still show the same to it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nhle_onnx.training.augmentation import flip_and_shift
from nhle_onnx.unlearning.network import to_inputs
from nhle_onnx.values.preprocess import Layout

SHIFT_FRACTION = 0.1  # of the image's shorter side, at most
_SHIFT_AGREEMENT = 0.9
_MIRROR_AGREEMENT = 0.8
_SMALLEST_SCALE = 1e-6
_LEAD_SHARE = 0.5  # of the usual lead, by which a class that is surely forgotten loses
_MARGINS = (0.3, 1.25)  # logit spreads, within which that is held


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """`scale` is the spread of the logits about their mean on each sample; `mirrors` says that
    mirrored images keep their class, which letters and road signs do not; `max_shift` is by how
    many pixels an image may be shifted. `margin` is by how many spreads a class must lose to be
    surely forgotten: half of what the best score usually leads by, which is less with more classes.
    `answers` are the network's classes of the images.
    """

    scale: float
    margin: float
    mirrors: bool
    max_shift: int
    answers: tuple[int, ...]


@torch.no_grad()
def probe(
    original: nn.Module,
    images: Tensor,
    layout: Layout,
    device: torch.device,
    generator: torch.Generator,
) -> Probe:
    """Compare the network's answers on images [N, C, H, W] with those on their views."""

    def read(views: Tensor) -> Tensor:
        logits: Tensor = original(to_inputs(views, layout, device))[0].flatten(1)
        return logits

    logits = read(images)
    answers = logits.argmax(1)

    def measure_agreement(views: Tensor) -> float:
        return float((read(views).argmax(1) == answers).float().mean())

    def bears(shift: int) -> bool:
        views = flip_and_shift(images, shift, generator, mirrors=False)
        return measure_agreement(views) >= _SHIFT_AGREEMENT

    scale = max(float((logits - logits.mean(1, keepdim=True)).std()), _SMALLEST_SCALE)
    largest = round(SHIFT_FRACTION * min(images.shape[2:]))
    return Probe(
        scale=scale,
        margin=_find_margin(logits / scale),
        mirrors=measure_agreement(images.flip(3)) >= _MIRROR_AGREEMENT,
        max_shift=next((shift for shift in range(largest, 1, -1) if bears(shift)), 1),
        answers=tuple(answers.tolist()),
    )


def _find_margin(scores: Tensor) -> float:
    best, second = scores.topk(2, 1).values.unbind(1)
    low, high = _MARGINS
    return min(max(_LEAD_SHARE * float((best - second).median()), low), high)
