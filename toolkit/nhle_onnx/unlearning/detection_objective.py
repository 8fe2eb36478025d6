"""What training minimises on a detector: NHLE at the locations that detect a forgotten object.

A location whose own box covers a forgotten object is to forget; on frames that show anything else,
each location keeps its box and its scores of the other classes, in proportion to what it detects.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nhle_onnx.training.augmentation import mix
from nhle_onnx.training.loop import Losses
from nhle_onnx.unlearning.feature_alignment import (
    imitation_loss,
    measure_spread,
    separation_loss,
)
from nhle_onnx.unlearning.locations import KNOWN, Outputs, Reader, find_forgotten, weigh
from nhle_onnx.unlearning.losses import find_loss
from nhle_onnx.unlearning.network import to_inputs
from nhle_onnx.unlearning.nhle import encode_negative_hot, measure_forget_margin
from nhle_onnx.unlearning.objective import IMITATION_WEIGHT, SEPARATION_WEIGHT
from nhle_onnx.unlearning.views import Scenes, draw_view, paste_objects
from nhle_onnx.values.preprocess import Layout
from nhle_onnx.values.request import ForgetRequest, Loss

MARGIN = 0.5  # below the mean of the other logits there, in logit spreads
BACKGROUND = 0.05  # score below which a location shows nothing
SCORE_WEIGHT = 0.5  # scores are independent: where an answer changes, two of them do
LOGIT_WEIGHT = 0.25  # a sigmoid hides most of such a change
BOX_WEIGHT = 4.0  # of a squared change of a box's sides, in sizes of the box
KEEP_WEIGHT = 0.25
_MOST = 256  # locations of a layer whose features are compared
_SUREST = 0.98  # of the forgotten locations, of which an image has dozens
_TINY = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionObjective:
    """Losses of one random step of a lowered detector.

    `forget` are scenes with the boxes of objects to forget, `anchors` show anything. `request`
    counts a background that competes as one more class. `scale` is the spread of the original's
    logits where it detects something.
    """

    module: nn.Module
    original: nn.Module
    reader: Reader
    request: ForgetRequest
    loss: Loss
    forget: Scenes
    anchors: Scenes
    scale: float
    mirrors: bool
    max_shift: int
    batch_size: int
    layout: Layout
    device: torch.device
    generator: torch.Generator

    def __call__(self) -> Losses:
        """Draw a batch of views, and compare the network with its original on it."""
        scenes = self._draw_scenes()
        inputs = to_inputs(scenes.images, self.layout, self.device)
        with torch.no_grad():  # first, while the other holds no activations yet
            original = self.reader(self.original(inputs))
        edited = self.reader(self.module(inputs))
        classes = find_forgotten(original.answers, scenes.boxes, self.request)
        is_forgotten = classes >= 0
        margins, forget_loss = self._measure_forgetting(edited.logits, original, classes)
        drift = self._measure_change(edited, original, weigh(original.answers) * ~is_forgotten)
        kept = self._measure_change(edited, original, is_forgotten.float())
        return Losses(
            forget=forget_loss,
            retain=drift + KEEP_WEIGHT * kept,
            alignment=self._measure_alignment(edited, original, classes),
            drift=drift.item(),
            forget_margin=margins.max().item(),
            win_margin=margins.quantile(_SUREST).item(),
        )

    def _draw_scenes(self) -> Scenes:
        """Draw views of the scenes, paste objects into half of the frames, and blend the others in
        pairs.
        """
        forget, frames = (self._draw(scenes) for scenes in (self.forget, self.anchors))
        half = len(frames.images) // 2
        pasted = paste_objects(forget, frames.choose(range(half)), self.generator)
        others = frames.choose(range(half, len(frames.images)))
        partners = torch.randperm(len(others.images), generator=self.generator)
        blended = mix(others.images, others.images[partners], self.generator)
        return forget.extend(pasted).extend(others._replace(images=blended))

    def _draw(self, scenes: Scenes) -> Scenes:
        return draw_view(
            scenes, self.batch_size, self.max_shift, self.generator, mirrors=self.mirrors
        )

    def _measure_forgetting(
        self, logits: Tensor, original: Outputs, classes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return each forgotten location's margin, in logit spreads, and the loss on some, drawn in
        proportion to the original's score.

        Only the class's own logit falls: raising another one would make a false detection.
        """
        is_forgotten = classes >= 0
        own, index = logits[is_forgotten], classes[is_forgotten]
        labels = encode_negative_hot(index.cpu(), self.request).to(own)
        margins = measure_forget_margin(own, labels).detach() / self.scale
        known = original.answers.scores[is_forgotten].gather(1, index[:, None])[:, 0]
        chances = known.clamp_min(KNOWN).cpu()
        drawn = torch.multinomial(chances, _MOST, replacement=True, generator=self.generator)
        own = torch.where(labels < 0, own, own.detach())[drawn]
        loss = find_loss(self.loss).measure(own, labels[drawn], scale=self.scale, margin=MARGIN)
        return margins[drawn.to(margins.device)], loss

    def _measure_change(self, edited: Outputs, original: Outputs, weights: Tensor) -> Tensor:
        """Return how far boxes and retained scores moved, as a mean weighted by `weights` [N, A]:
        divergences of the scores, squared changes of logits in `scale`, and of sides in boxes.
        """
        retained = list(self.request.retained)
        known = [index for index in retained if index < edited.answers.scores.shape[2]]
        scores = measure_divergence(
            edited.answers.scores[..., known], original.answers.scores[..., known]
        )
        logits = ((edited.logits - original.logits)[..., retained] / self.scale).square().mean(2)
        boxes = measure_shift(edited.answers.boxes, original.answers.boxes)
        change = SCORE_WEIGHT * scores + LOGIT_WEIGHT * logits + BOX_WEIGHT * boxes
        return (change * weights).sum() / weights.sum().clamp_min(_TINY)

    def _measure_alignment(self, edited: Outputs, original: Outputs, classes: Tensor) -> Tensor:
        """Return how plainly forgotten locations differ from the background, mean over layers."""
        shows = original.answers.scores.amax(2) >= BACKGROUND
        losses = [edited.logits.new_zeros(())]
        for layer, ours, theirs in zip(
            self.reader.detector.layers, edited.features, original.features, strict=True
        ):
            own = classes[:, layer.anchors]
            others = _choose((own < 0) & ~shows[:, layer.anchors], self.generator)
            forgotten = _choose(own >= 0, self.generator)
            if len(forgotten) > 1 and len(others) > 1:
                pair = (forgotten, others)
                losses.append(_align(ours, theirs, *pair, own.flatten()[forgotten], self.generator))
        return torch.stack(losses).sum() / max(len(losses) - 1, 1)


def _align(
    edited: Tensor,
    original: Tensor,
    forgotten: Tensor,
    others: Tensor,
    classes: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Compare features [N, locations, D] at forgotten places with those at others."""
    ours, theirs = edited.flatten(0, 1), original.flatten(0, 1)
    unit = measure_spread(theirs[torch.cat([forgotten, others])])
    features = ours[forgotten] / unit
    separation = separation_loss(features, classes, ours[others] / unit)
    drawn = torch.randint(len(others), (len(forgotten),), generator=generator)
    examples = theirs[others[drawn.to(others.device)]] / unit
    return SEPARATION_WEIGHT * separation + IMITATION_WEIGHT * imitation_loss(features, examples)


def _choose(wanted: Tensor, generator: torch.Generator) -> Tensor:
    """Return the places of what is wanted, in random order and at most `_MOST`."""
    places = wanted.flatten().nonzero()[:, 0]
    order = torch.randperm(len(places), generator=generator)[:_MOST]
    return places[order.to(places.device)]


def measure_divergence(scores: Tensor, original: Tensor) -> Tensor:
    """Return the Bernoulli divergence of each score from the original, summed over classes."""
    ours, theirs = (each.clamp(_TINY, 1 - _TINY) for each in (scores, original))
    hits = theirs * (theirs / ours).log()
    misses = (1 - theirs) * ((1 - theirs) / (1 - ours)).log()
    return (hits + misses).sum(2)


def measure_shift(boxes: Tensor, original: Tensor) -> Tensor:
    """Return the mean squared change of each box's sides, in mean sizes of the original box."""
    size = (original[..., 2:] - original[..., :2]).abs().mean(2, keepdim=True).clamp_min(1.0)
    return ((boxes - original) / size).square().mean(2)
