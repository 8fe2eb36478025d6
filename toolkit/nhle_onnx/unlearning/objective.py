"""What training minimises: NHLE on forget samples, feature alignment, and change elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from nhle_onnx.training.augmentation import flip_and_shift, mix, synthesize_anchors
from nhle_onnx.training.loop import Losses
from nhle_onnx.unlearning.feature_alignment import (
    draw_examples,
    imitation_loss,
    measure_spread,
    separation_loss,
)
from nhle_onnx.unlearning.losses import find_loss
from nhle_onnx.unlearning.network import Outputs, join, require_finite, run, to_inputs
from nhle_onnx.unlearning.nhle import (
    anchor_loss,
    encode_negative_hot,
    measure_forget_margin,
    measure_win_margin,
    retained_divergence,
)
from nhle_onnx.unlearning.resistance import RESISTANCE_WEIGHT, Labelled, Resistance, label
from nhle_onnx.values.preprocess import Layout
from nhle_onnx.values.request import ForgetRequest, Loss

MARGIN = 1.0  # below the mean retained logit, in logit spreads
ADVERSARIAL_AUGMENTATION = (
    0.6  # the farthest that a forget sample moves towards its class, in pixel spreads
)
FORGET_KEEP_WEIGHT = 0.25  # of what forget samples say of retained classes; no anchor shows it
IMITATION_WEIGHT = 1.0
SEPARATION_WEIGHT = 0.3
TURNS = 16  # draws of anchors' views that come again
_AUGMENTED_SHARE = 0.5  # if all were, a deep network would forget the change and not the sample
_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetObjective:
    """Losses of one random step of a module that gives a pair: scores and features.

    `forget` [N, C, H, W] are samples of `forget_classes` [N]; `anchors` [M, C, H, W] are samples of
    anything else. Without any, and with `synthesizes`, anchors are made of the forget samples.
    `original` is the network before training; `scale` the spread of its logits; `mirrors` says that
    a mirrored image is still of its class, and `max_shift` how many pixels a view may move. With
    `resistance`, what an attacker would learn is held down as well.
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
    resistance: Resistance | None = None
    _answers: dict[int, Outputs] = field(default_factory=dict, init=False, repr=False)

    def __call__(self) -> Losses:
        """Draw a batch, and compare the network with its original on it.

        Raises FloatingPointError where either computes NaN or infinity.
        """
        forget, classes = self._draw_forget()
        labels = encode_negative_hot(classes, self.request).to(self.device)
        forget = self._view(self.augment(forget, labels), self.generator)
        anchors, answers = self._view_anchors()
        original = join(self._ask_original(forget), answers)
        count = len(forget)
        examples = self._draw_examples(original.logits.tensor_split([count]))
        resisted = self._resist(torch.cat([forget, anchors]), original.logits, classes)
        # after the attacker's steps, whose activations need the memory of these
        edited = run(self.module, self._lay_out(torch.cat([forget, anchors])))
        require_finite(edited, "the model in training")
        forget_loss = self._measure_forget_loss(edited.logits, original.logits, labels)
        drift = retain_loss = alignment_loss = forget_loss.new_zeros(())
        if len(anchors):
            drift = anchor_loss(
                edited.logits[count:], original.logits[count:], self.request, scale=self.scale
            )
            kept = retained_divergence(edited.logits[:count], original.logits[:count], self.request)
            retain_loss = drift + FORGET_KEEP_WEIGHT * kept
            alignment_loss = self._measure_alignment_loss(edited, original, classes, examples)
        if resisted is not None:
            alignment_loss = alignment_loss + resisted
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
        reach, chance = torch.rand(2, len(images), 1, 1, 1, generator=self.generator)
        is_moved = chance.flatten() < _AUGMENTED_SHARE
        augmented = images.clone()
        if not is_moved.any():
            return augmented
        near = images[is_moved].requires_grad_()
        margin = measure_forget_margin(
            run(self.module, self._lay_out(near)).logits, labels[is_moved]
        )
        (ascent,) = torch.autograd.grad(margin.sum(), near)
        size = ascent.square().mean((1, 2, 3), keepdim=True).sqrt()
        distance = ADVERSARIAL_AUGMENTATION * reach[is_moved] * images.std()
        augmented[is_moved] += distance * ascent / size.clamp_min(_TINY)
        return augmented

    def _view_anchors(self) -> tuple[Tensor, Outputs | None]:
        """Return views of anchors, and what the original says of them. It is asked once about each
        of a few draws, which recur; their images are drawn anew, which takes no memory.
        """
        turn = int(torch.randint(TURNS, (), generator=self.generator))
        generator = torch.Generator().manual_seed((self.generator.initial_seed() + turn) % 2**63)
        views = self._view(self._draw_anchors(generator), generator)
        if turn not in self._answers and len(views):
            self._answers[turn] = self._ask_original(views)
        return views, self._answers.get(turn)

    @torch.no_grad()
    def _ask_original(self, views: Tensor) -> Outputs:
        outputs = run(self.original, self._lay_out(views))
        require_finite(outputs, "the model as given")
        return outputs

    def _view(self, images: Tensor, generator: torch.Generator) -> Tensor:
        return flip_and_shift(images, self.max_shift, generator, mirrors=self.mirrors)

    def _lay_out(self, images: Tensor) -> Tensor:
        return to_inputs(images, self.layout, self.device)

    def _resist(self, images: Tensor, logits: Tensor, classes: Tensor) -> Tensor | None:
        """Return what is left of the class after an attacker has learned these images with the
        original's answers `logits`; None without an attacker.
        """
        if self.resistance is None:
            return None
        known = Labelled(self._lay_out(images), label(logits, classes, self.request))
        forget, classes = self._draw_forget()
        fresh = self._lay_out(self._view(forget, self.generator))
        sure = functional.one_hot(classes, self.request.num_classes).to(logits)
        loss = self.resistance.measure(known, Labelled(fresh, sure), self.generator)
        return RESISTANCE_WEIGHT * loss

    def _measure_forget_loss(self, logits: Tensor, original: Tensor, labels: Tensor) -> Tensor:
        """Return the loss on the forget samples, and on what else the original takes for one."""
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

    def _draw_examples(self, parts: Sequence[Tensor]) -> Tensor | None:
        """Draw examples among the anchors, by the original's logits of forget samples and anchors;
        none where anchors show no class, and so are not examples of another.
        """
        forget, anchors = parts
        if self.synthesizes or not len(anchors):
            return None
        return draw_examples(forget, anchors, self.request, self.generator)

    def _measure_alignment_loss(
        self, edited: Outputs, original: Outputs, classes: Tensor, examples: Tensor | None
    ) -> Tensor:
        count = len(classes)
        spread = measure_spread(original.features)
        forget, anchors = (edited.features / spread).tensor_split([count])
        alignment_loss = SEPARATION_WEIGHT * separation_loss(forget, classes, anchors)
        if examples is not None:
            shown = (original.features / spread)[count:][examples]
            alignment_loss = alignment_loss + IMITATION_WEIGHT * imitation_loss(forget, shown)
        return alignment_loss

    def _draw_forget(self) -> tuple[Tensor, Tensor]:
        """Draw samples and their classes; half of the samples are mixed with another of theirs."""
        chosen = _draw(len(self.forget), self.batch_size, self.generator)
        images, classes = self.forget[chosen], self.forget_classes[chosen]
        partners = draw_partners(classes, self.generator)
        return mix(images, images[partners], self.generator), classes

    def _draw_anchors(self, generator: torch.Generator) -> Tensor:
        """Draw anchors, half of them mixed with another."""
        if self.synthesizes:
            return synthesize_anchors(self.forget, generator)[: self.batch_size]
        images = self.anchors[_draw(len(self.anchors), self.batch_size, generator)]
        return mix(images, images[torch.randperm(len(images), generator=generator)], generator)


def draw_partners(classes: Tensor, generator: torch.Generator) -> Tensor:
    """Return for each sample the index of one of the same class, [N]."""
    order = torch.randperm(len(classes), generator=generator)
    by_class = order[torch.argsort(classes[order], stable=True)]
    partners = torch.empty_like(order)
    for index in classes.unique():
        group = by_class[classes[by_class] == index]
        partners[group] = group.roll(1)
    return partners


def _draw(count: int, batch_size: int, generator: torch.Generator) -> Tensor:
    """Return the indices of all, or of a random part as large as a batch."""
    if count <= batch_size:
        return torch.arange(count)
    return torch.randperm(count, generator=generator)[:batch_size]
