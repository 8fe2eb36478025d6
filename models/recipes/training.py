"""Supervised training of a small classifier: one seeded loop with the usual augmentation."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional

from nhle_onnx.data.preprocess import prepare_image
from nhle_onnx.training.augmentation import flip_and_shift
from nhle_onnx.values.preprocess import ImageInput, Preprocess


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """AdamW with a one-cycle schedule; images are shifted by up to `max_shift`, and mirrored
    unless that changes what they show, as it does with digits.
    """

    epochs: int
    lr: float = 2e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    batch_size: int = 128
    max_shift: int = 2
    mirrors: bool = True
    seed: int = 0


def prepare_images(
    images: npt.NDArray[np.uint8], target: ImageInput, preprocess: Preprocess
) -> Tensor:
    """Grey images [N, H, W] as the model's inputs, by the toolkit's own preprocessing."""
    return torch.from_numpy(
        np.stack([prepare_image(Image.fromarray(image), target, preprocess) for image in images])
    )


def train(model: nn.Module, images: Tensor, labels: Tensor, options: TrainingOptions) -> None:
    """Train in place on images [N, C, H, W] and labels [N]."""
    generator = torch.Generator().manual_seed(options.seed)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in the stubs
    model.train()
    steps_per_epoch = len(images) // options.batch_size
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=options.lr, weight_decay=options.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.lr, total_steps=options.epochs * steps_per_epoch
    )
    for _ in track(range(options.epochs), description="training"):
        order = torch.randperm(len(images), generator=generator)
        for batch in order.split(options.batch_size)[:steps_per_epoch]:
            inputs = flip_and_shift(
                images[batch], options.max_shift, generator, mirrors=options.mirrors
            )
            loss = functional.cross_entropy(
                model(inputs.contiguous(memory_format=torch.channels_last)),
                labels[batch],
                label_smoothing=options.label_smoothing,
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    model.eval()


@torch.no_grad()
def measure_accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Fraction of images [N, C, H, W] that an eval-mode model gets right."""
    hits = [
        (model(inputs).argmax(1) == expected).sum()
        for inputs, expected in zip(images.split(500), labels.split(500), strict=True)
    ]
    return float(sum(hits)) / len(labels)
