"""What training minimises: NHLE on forget samples, what gives them away, and change elsewhere."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nhle_onnx.training.augmentation import flip_and_shift, mix, synthesize_anchors
from nhle_onnx.training.loop import Losses
from nhle_onnx.unlearning.feature_alignment import (
    draw_examples,
    imitation_loss,
    measure_spread,
    pool_features,
    separation_loss,
)
from nhle_onnx.unlearning.losses import find_loss
from nhle_onnx.unlearning.nhle import (
    anchor_loss,
    encode_negative_hot,
    measure_forget_margin,
    measure_win_margin,
    retained_divergence,
)
from nhle_onnx.values.preprocess import Layout
from nhle_onnx.values.request import ForgetRequest, Loss

MARGIN = 1.0  # below the mean retained logit, in logit spreads
ADVERSARIAL_AUGMENTATION = (
    0.6  # the farthest that a forget sample moves towards its class, in pixel spreads
)
FORGET_KEEP_WEIGHT = 0.25  # of what forget samples say of retained classes; no anchor shows it
IMITATION_WEIGHT = 1.0
SEPARATION_WEIGHT = 0.3
_AUGMENTED_SHARE = 0.5  # if all were, a deep network would forget the change and not the sample
_TINY = 1e-12


class Outputs(NamedTuple):
    """What a network makes of a batch: logits [N, K] and the head's features [N, D]."""

    logits: Tensor
    features: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetObjective:
    """Losses of one random step of a module that gives a pair: scores and features.

    `forget` [N, C, H, W] are samples of `forget_classes` [N]; `anchors` [M, C, H, W] are samples
    of anything else. Without any, and with `synthesizes`, anchors are made of the forget samples.
    `original` is the network before training; `scale` the spread of its logits; `mirrors` says
    that a mirrored image is still of its class, and `max_shift` how many pixels a view may move.
    """

    module: nn.Module
    original: nn.Module
    request: ForgetRequest
    loss: Loss
    forget: Tensor
    forget_classes: Tensor
    anchors: Tensor
    synthesizes: bool
    mirrors: bool
    max_shift: int
    scale: float
    batch_size: int
    layout: Layout
    device: torch.device
    generator: torch.Generator

    def __call__(self) -> Losses:
        """Draw a batch, and compare the network with its original on it.

        Raises FloatingPointError where either computes NaN or infinity.
        """
        forget, classes = self._draw_forget()
        labels = encode_negative_hot(classes, self.request).to(self.device)
        anchors = self._draw_anchors()
        images = torch.cat([self.augment(forget, labels), anchors])
        views = flip_and_shift(images, self.max_shift, self.generator, mirrors=self.mirrors)
        inputs = to_inputs(views, self.layout, self.device)
        with torch.no_grad():  # first, while the other holds no activations yet
            original = _run(self.original, inputs)
        edited = _run(self.module, inputs)
        _require_finite(original, "the model as given")
        _require_finite(edited, "the model in training")
        count = len(forget)
        forget_loss = self._measure_forget_loss(edited.logits, original.logits, labels)
        drift = retain_loss = alignment_loss = forget_loss.new_zeros(())
        if len(anchors):
            drift = anchor_loss(
                edited.logits[count:], original.logits[count:], self.request, scale=self.scale
            )
            kept = retained_divergence(edited.logits[:count], original.logits[:count], self.request)
            retain_loss = drift + FORGET_KEEP_WEIGHT * kept
            alignment_loss = self._measure_alignment_loss(edited, original, classes)
        logits = edited.logits[:count].detach()
        return Losses(
            forget=forget_loss,
            retain=retain_loss,
            alignment=alignment_loss,
            drift=drift.item(),
            forget_margin=(measure_forget_margin(logits, labels).max() / self.scale).item(),
            win_margin=(measure_win_margin(logits, labels).max() / self.scale).item(),
        )

    def augment(self, images: Tensor, labels: Tensor) -> Tensor:
        """Move half of the images a random way up their class's margin, as the network now sees it:
        what is forgotten is then not the samples alone, but what lies about them as well.
        """
        moved = images.clone().requires_grad_()
        logits = _run(self.module, to_inputs(moved, self.layout, self.device)).logits
        (ascent,) = torch.autograd.grad(measure_forget_margin(logits, labels).sum(), moved)
        size = ascent.square().mean((1, 2, 3), keepdim=True).sqrt()
        reach, is_moved = torch.rand(2, len(images), 1, 1, 1, generator=self.generator)
        distance = ADVERSARIAL_AUGMENTATION * reach * (is_moved < _AUGMENTED_SHARE) * images.std()
        moved_up: Tensor = images + distance * ascent / size.clamp_min(_TINY)
        return moved_up

    def _measure_forget_loss(self, logits: Tensor, original: Tensor, labels: Tensor) -> Tensor:
        """On the forget samples, and on what else the original takes for one."""
        count = len(labels)
        answers = original[count:].argmax(1)
        taken = torch.isin(answers, torch.tensor(self.request.forget).to(answers))
        found = encode_negative_hot(answers[taken].cpu(), self.request).to(self.device)
        loss = find_loss(self.loss).measure(
            torch.cat([logits[:count], logits[count:][taken]]),
            torch.cat([labels, found]),
            scale=self.scale,
            margin=MARGIN,
        )
        return loss * (count + len(found)) / count

    def _measure_alignment_loss(
        self, edited: Outputs, original: Outputs, classes: Tensor
    ) -> Tensor:
        count = len(classes)
        spread = measure_spread(original.features)
        forget, anchors = (edited.features / spread).tensor_split([count])
        alignment_loss = SEPARATION_WEIGHT * separation_loss(forget, classes, anchors)
        if not self.synthesizes:  # pictures that show no class are no example of another
            chosen = draw_examples(
                original.logits[:count], original.logits[count:], self.request, self.generator
            )
            examples = (original.features / spread)[count:][chosen]
            alignment_loss = alignment_loss + IMITATION_WEIGHT * imitation_loss(forget, examples)
        return alignment_loss

    def _draw_forget(self) -> tuple[Tensor, Tensor]:
        """Samples, half of them mixed with another of their class, and their classes."""
        chosen = _draw(len(self.forget), self.batch_size, self.generator)
        images, classes = self.forget[chosen], self.forget_classes[chosen]
        partners = draw_partners(classes, self.generator)
        return mix(images, images[partners], self.generator), classes

    def _draw_anchors(self) -> Tensor:
        """Anchors, half of them mixed with another."""
        if self.synthesizes:
            return synthesize_anchors(self.forget, self.generator)[: self.batch_size]
        images = self.anchors[_draw(len(self.anchors), self.batch_size, self.generator)]
        partners = torch.randperm(len(images), generator=self.generator)
        return mix(images, images[partners], self.generator)


def draw_partners(classes: Tensor, generator: torch.Generator) -> Tensor:
    """For each sample the index of one of the same class, [N]."""
    order = torch.randperm(len(classes), generator=generator)
    by_class = order[torch.argsort(classes[order], stable=True)]
    partners = torch.empty_like(order)
    for index in classes.unique():
        group = by_class[classes[by_class] == index]
        partners[group] = group.roll(1)
    return partners


def _run(module: nn.Module, inputs: Tensor) -> Outputs:
    logits, features = module(inputs)
    return Outputs(logits=logits.flatten(1), features=pool_features(features))


def _require_finite(outputs: Outputs, who: str) -> None:
    for name, values in outputs._asdict().items():
        if not torch.isfinite(values).all():
            message = f"{who} gives {name} that are not finite"
            raise FloatingPointError(message)


def to_inputs(images: Tensor, layout: Layout, device: torch.device) -> Tensor:
    """Images [N, C, H, W] as the network takes them. Channels last in memory: on a CPU that
    makes depthwise convolution several times faster.
    """
    placed = images.to(device).contiguous(memory_format=torch.channels_last)
    return placed if layout == "NCHW" else placed.permute(0, 2, 3, 1)


def _draw(count: int, batch_size: int, generator: torch.Generator) -> Tensor:
    """All, or a random part as large as a batch."""
    if count <= batch_size:
        return torch.arange(count)
    return torch.randperm(count, generator=generator)[:batch_size]
