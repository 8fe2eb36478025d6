"""What training minimises on a detector: NHLE at the locations that detect a forgotten object.

A location whose own box covers a forgotten object is to forget: its score falls below the least
that average precision counts. On frames that show anything else, each location keeps its box and
its scores of the other classes, in proportion to what it detects.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from nhle_onnx.detection.reading import LEAST_SCORE
from nhle_onnx.training.augmentation import mix
from nhle_onnx.training.budget import DRIFT_BOUND, RoundedDrift
from nhle_onnx.training.loop import Losses
from nhle_onnx.training.overlap import measure_overlaps
from nhle_onnx.unlearning.feature_alignment import (
    imitation_loss,
    measure_spread,
    separation_loss,
)
from nhle_onnx.unlearning.locations import (
    KNOWN,
    Outputs,
    Reader,
    find_forgotten,
    weigh,
)
from nhle_onnx.unlearning.network import to_inputs
from nhle_onnx.unlearning.objective import (
    ADVERSARIAL_AUGMENTATION,
    IMITATION_WEIGHT,
    SEPARATION_WEIGHT,
)
from nhle_onnx.unlearning.views import Scenes, draw_view, paste_objects
from nhle_onnx.values.preprocess import Layout
from nhle_onnx.values.request import ForgetRequest

LEVEL = math.log(LEAST_SCORE / (1 - LEAST_SCORE))  # of log-odds, below which nothing counts
MARGIN = 0.5  # below that level, in logit spreads
ALIGNMENT_WEIGHT = 0.3  # an object has dozens of locations, whose features are needed around it
BACKGROUND = 0.05  # score below which a location shows nothing
SCORE_WEIGHT = 0.5  # scores are independent: where an answer changes, two of them do
LOGIT_WEIGHT = 0.25  # a sigmoid hides most of such a change
BOX_WEIGHT = 1.0  # of the part of a box that no longer overlaps
KEEP_WEIGHT = 0.25
LOOSEST = 2 * DRIFT_BOUND  # twice this takes two points of average precision from the others
_ROUNDING = DRIFT_BOUND  # about what rounding alone makes of it
ROUNDED = RoundedDrift(first=DRIFT_BOUND + _ROUNDING, loosest=LOOSEST + _ROUNDING, slack=1.2)
_AUGMENTED_SHARE = 0.5
_FAINTEST = 1e-4  # a score below is drawn no more seldom
_MOST = 256  # locations of a layer whose features are compared
_SUREST = 0.98  # of the forgotten locations, of which an image has dozens
_TINY = 1e-6
_TINIEST = 1e-12


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
        inputs = to_inputs(self.augment(scenes), self.layout, self.device)
        with torch.no_grad():  # first, while the other holds no activations yet
            original = self.reader(self.original(inputs))
        edited = self.reader(self.module(inputs))
        classes = find_forgotten(original.answers, scenes.boxes, self.request)
        is_forgotten = classes >= 0
        margins, forget_loss = self._measure_forgetting(edited, original, classes)
        drift = self._measure_change(edited, original, weigh(original.answers) * ~is_forgotten)
        kept = self._measure_change(edited, original, is_forgotten.float())
        return Losses(
            forget=forget_loss,
            retain=drift + KEEP_WEIGHT * kept,
            alignment=ALIGNMENT_WEIGHT * self._measure_alignment(edited, original, classes),
            drift=drift.item(),
            forget_margin=margins.max().item(),
            win_margin=margins.quantile(_SUREST).item() - self._measure_noise(edited, is_forgotten),
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

    def augment(self, scenes: Scenes) -> Tensor:
        """Move half of the images that show a forgotten object a random way towards what the
        network still takes for it: sixteen images show few of the objects to come.
        """
        images = scenes.images
        reach, chance = torch.rand(2, len(images), generator=self.generator)
        shows = torch.tensor([len(boxes) > 0 for boxes in scenes.boxes])
        moved = (shows & (chance < _AUGMENTED_SHARE)).nonzero()[:, 0].tolist()
        ascent = self._find_ascent(scenes.choose(moved)) if moved else images[:0]
        augmented = images.clone()
        distance = ADVERSARIAL_AUGMENTATION * images.std() * reach[moved].view(-1, 1, 1, 1)
        augmented[moved] += distance.to(images) * ascent
        return augmented

    def _find_ascent(self, scenes: Scenes) -> Tensor:
        """Return the direction in which each image would show its objects more plainly, of unit
        root mean square.
        """
        images = scenes.images.clone().requires_grad_()
        outputs = self.reader(self.module(to_inputs(images, self.layout, self.device)))
        classes = find_forgotten(outputs.answers, scenes.boxes, self.request)
        scores = pick(outputs.answers.scores, classes)
        (ascent,) = torch.autograd.grad(
            (scores.detach() * pick(outputs.logits, classes)).sum(), images
        )
        size = ascent.square().mean((1, 2, 3), keepdim=True).sqrt()
        return ascent / size.clamp_min(_TINIEST)

    def _measure_forgetting(
        self, edited: Outputs, original: Outputs, classes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the margins by which some of the forgotten locations exceed the level, in logit
        spreads, and the loss on them: half are drawn in proportion to the original's score, half
        in proportion to what is left of it.

        Only the class's own logit falls: raising another one would make a false detection.
        """
        known, left = (
            pick(outputs.answers.scores, classes).detach() for outputs in (original, edited)
        )
        if not len(known):  # no view shows an object that the original knows
            return edited.logits.new_zeros(1), edited.logits.sum() * 0
        shares = [known.clamp_min(KNOWN), left.clamp_min(_FAINTEST)]
        chances = torch.stack([share / share.sum() for share in shares]).sum(0).cpu()
        drawn = torch.multinomial(chances, _MOST, replacement=True, generator=self.generator)
        odds = measure_log_odds(left, pick(edited.logits, classes))[drawn.to(left.device)]
        margins = (odds - LEVEL) / self.scale
        return margins.detach(), functional.softplus(margins + MARGIN).mean()

    def _measure_noise(self, edited: Outputs, is_forgotten: Tensor) -> float:
        """Return by how much the class exceeds the level once an image where it is not, in logit
        spreads, and at least 0: what ranks behind so many false detections is as good as gone.
        """
        elsewhere = edited.answers.scores[~is_forgotten][:, list(self.request.forget)].flatten()
        count = min(len(is_forgotten), len(elsewhere))
        if not count:
            return 0.0
        score = elsewhere.detach().topk(count).values[-1].clamp(LEAST_SCORE, 1 - _TINY)
        once: float = score.logit().item()
        return (once - LEVEL) / self.scale

    def _measure_change(self, edited: Outputs, original: Outputs, weights: Tensor) -> Tensor:
        """Return how far boxes and retained scores moved, as a mean weighted by `weights` [N, A]:
        divergences of the scores, squared changes of logits in `scale`, and what boxes lost of
        their overlap.
        """
        retained = list(self.request.retained)
        known = [index for index in retained if index < edited.answers.scores.shape[2]]
        scores = measure_divergence(
            edited.answers.scores[..., known], original.answers.scores[..., known]
        )
        logits = ((edited.logits - original.logits)[..., retained] / self.scale).square().mean(2)
        boxes = measure_loss_of_overlap(edited.answers.boxes, original.answers.boxes)
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


def measure_loss_of_overlap(boxes: Tensor, original: Tensor) -> Tensor:
    """Return which part of each box no longer overlaps with the original one; 0 where that is
    empty, and overlaps with nothing.
    """
    return measure_overlaps(original, original) - measure_overlaps(boxes, original)


def measure_log_odds(scores: Tensor, logits: Tensor) -> Tensor:
    """Return the log-odds of scores. They move as the class's own logits do, whatever else takes
    part in a score: a background, an objectness.
    """
    return logits + (scores.clamp(_TINY, 1 - _TINY).logit() - logits).detach()


def pick(values: Tensor, classes: Tensor) -> Tensor:
    """Return of values [N, A, C] those of each forgotten location's class; see `find_forgotten`."""
    is_forgotten = classes >= 0
    return values[is_forgotten].gather(1, classes[is_forgotten][:, None])[:, 0]
