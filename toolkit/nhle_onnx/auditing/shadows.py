"""Shadow networks: small ones that never saw the class, and learned from the original's answers.

What they show of the class can be shown by any network that never saw it, as other classes teach
the features. They are smaller than a retrained network and saw fewer images, so they show less.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from nhle_onnx.auditing.context import Answers, AuditContext, CannotRunError
from nhle_onnx.graph.head.head import HeadRows
from nhle_onnx.training.augmentation import flip_and_shift

STEPS = 300
_BATCH = 128
_RATE = 3e-3
_WIDTHS = (16, 32, 64)
_LARGEST = 64  # pixels of a side; larger images are averaged down
_SHIFT = 1 / 16  # of a side
_FEWEST = 100  # retained images


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """What a shadow makes of the audit's samples, and its head."""

    answers: Answers
    rows: HeadRows


class ShadowNetwork(nn.Module):
    """Convolutions and a linear head, for images [N, C, H, W] of any size."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((channels, *_WIDTHS), _WIDTHS, strict=False):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.GroupNorm(4, after), nn.ReLU()]
            layers += [nn.MaxPool2d(2, ceil_mode=True)]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.head = nn.Linear(4 * _WIDTHS[-1], num_classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores and features."""
        features = self.body(images)
        return self.head(features), features


def train_shadow(context: AuditContext, seed: int) -> Shadow:
    """Train a shadow on the attacker's retained images. Raises CannotRunError if they are few."""
    images = _shrink(_to_images(context))
    known = np.flatnonzero(context.is_attack & ~context.is_forgotten)
    if len(known) < _FEWEST:
        raise CannotRunError(f"shadows need {_FEWEST} of the attacker's images of other classes")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ShadowNetwork(images.shape[1], context.request.num_classes)
    _distil(network, images[known], _read_answers(context, known), seed)
    return _read(network, images)


def _distil(network: ShadowNetwork, images: Tensor, answers: Tensor, seed: int) -> None:
    """Teach a network answers [N, K] to images, shifted a little."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=STEPS)
    shift = round(_SHIFT * min(images.shape[2:]))
    for _ in range(STEPS):
        chosen = torch.randint(len(images), (_BATCH,), generator=generator)
        views = flip_and_shift(images[chosen], shift, generator, mirrors=False)
        loss = functional.cross_entropy(network(views)[0], answers[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _read_answers(context: AuditContext, known: npt.NDArray[np.int64]) -> Tensor:
    """Return what the original makes of images, among the retained classes, [N, K]."""
    scores = torch.from_numpy(context.targets["original"].answers.scores[known]).clone()
    scores[:, list(context.forgotten)] = -torch.inf
    return torch.softmax(scores, 1)


@torch.no_grad()
def _read(network: ShadowNetwork, images: Tensor) -> Shadow:
    found = [network(batch) for batch in images.split(_BATCH)]
    scores, features = (torch.cat(each).numpy() for each in zip(*found, strict=True))
    weight, bias = (each.double().numpy() for each in (network.head.weight, network.head.bias))
    return Shadow(answers=Answers(features=features, scores=scores), rows=HeadRows(weight, bias))


def _to_images(context: AuditContext) -> Tensor:
    """Return the audit's inputs as [N, C, H, W], with deviations from their mean in one unit."""
    layout = context.targets["original"].image_input.layout
    if layout is None:
        raise CannotRunError("shadows are trained on images")
    inputs = torch.from_numpy(context.inputs).float()
    images = inputs if layout == "NCHW" else inputs.permute(0, 3, 1, 2)
    return (images - images.mean()) / images.std().clamp_min(1e-6)


def _shrink(images: Tensor) -> Tensor:
    height, width = images.shape[2:]
    if max(height, width) <= _LARGEST:
        return images
    return functional.adaptive_avg_pool2d(images, (min(_LARGEST, height), min(_LARGEST, width)))
