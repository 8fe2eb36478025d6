"""Training of the two small detectors: one seeded loop, and a loss for each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional

from architectures.ssdlite import VARIANCES, SSDLite
from architectures.yolo import BINS, YoloTiny
from recipes.detection.assignment import Truth, assign, measure_giou, measure_iou
from recipes.detection.composites import MAX_ITEMS, Scene

_CLASS, _BOX, _BINS = 0.5, 7.5, 1.5  # weights of the losses, as in YOLOv8
_NEGATIVES, _HALF = 3, 0.5  # of SSD: background for each object, and the overlap of a match


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """AdamW with a one-cycle schedule, on scenes mirrored at random."""

    scenes: int = 6000
    epochs: int = 14
    lr: float = 4e-3
    weight_decay: float = 0.01
    batch_size: int = 32
    seed: int = 0


Loss = Callable[[Tensor, Truth], Tensor]


def stack_images(scenes: Sequence[Scene]) -> Tensor:
    """Images as the models take them, [N, 3, H, W] between 0 and 1."""
    stacked = np.stack([scene.image for scene in scenes]).transpose(0, 3, 1, 2)
    return torch.from_numpy(stacked / np.float32(255)).float()


def stack_truth(scenes: Sequence[Scene]) -> Truth:
    """Boxes and classes of all scenes, padded to the same number."""
    boxes = torch.zeros(len(scenes), MAX_ITEMS, 4)
    classes = torch.zeros(len(scenes), MAX_ITEMS, dtype=torch.int64)
    is_there = torch.zeros(len(scenes), MAX_ITEMS, dtype=torch.bool)
    for position, scene in enumerate(scenes):
        count = len(scene.classes)
        boxes[position, :count] = torch.from_numpy(scene.boxes)
        classes[position, :count] = torch.from_numpy(scene.classes)
        is_there[position, :count] = True
    return Truth(boxes, classes, is_there)


def train(
    model: nn.Module, measure: Loss, scenes: Sequence[Scene], options: TrainingOptions
) -> None:
    """Train in place."""
    generator = torch.Generator().manual_seed(options.seed)
    images = np.stack([scene.image for scene in scenes])
    truth = stack_truth(scenes)
    steps = len(images) // options.batch_size
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=options.lr, weight_decay=options.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.lr, total_steps=options.epochs * steps
    )
    model.train()
    for _ in track(range(options.epochs), description="training"):
        order = torch.randperm(len(images), generator=generator)
        for batch in order.split(options.batch_size)[:steps]:
            pixels = torch.from_numpy(images[batch.numpy()]).permute(0, 3, 1, 2).float() / 255
            part = Truth(*(each[batch] for each in truth))
            loss = measure(*_mirror(pixels, part, generator))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
            schedule.step()
    model.eval()


def _mirror(images: Tensor, truth: Truth, generator: torch.Generator) -> tuple[Tensor, Truth]:
    """Mirror half of the images, with their boxes."""
    turned = torch.rand(len(images), generator=generator) < 0.5  # noqa: PLR2004 - a coin
    width = images.shape[3]
    mirrored = torch.where(turned[:, None, None, None], images.flip(3), images)
    left, top, right, bottom = truth.boxes.unbind(2)
    boxes = torch.stack([width - right, top, width - left, bottom], 2)
    return mirrored, truth._replace(boxes=torch.where(turned[:, None, None], boxes, truth.boxes))


def make_yolo_loss(model: YoloTiny) -> Loss:
    """Binary cross-entropy to task-aligned scores, generalized IoU, distribution focal loss."""

    def measure(images: Tensor, truth: Truth) -> Tensor:
        bins, logits = model.predict(images)
        boxes, logits = model.decode(bins).transpose(1, 2), logits.transpose(1, 2)
        found = assign(logits.sigmoid(), boxes, model.points[0].T, truth)
        total = found.scores.sum().clamp_min(1.0)
        classes = functional.binary_cross_entropy_with_logits(logits, found.scores, reduction="sum")
        own = found.has_box
        weight = found.scores.sum(2)[own]
        overlap = (1 - measure_giou(boxes[own], found.boxes[own])) * weight
        focal = _focus_bins(model, bins.transpose(1, 2), found.boxes, own) * weight
        parts = _CLASS * classes + _BOX * overlap.sum() + _BINS * focal.sum()
        return parts / total

    return measure


def _focus_bins(model: YoloTiny, bins: Tensor, boxes: Tensor, own: Tensor) -> Tensor:
    """Cross-entropy to the two bins next to the distance of each side, averaged over the sides."""
    points = model.points[0].T.repeat(1, 2)
    signs = torch.tensor([-1.0, -1.0, 1.0, 1.0])
    sides = ((boxes - points) * signs / model.strides[:, None])[own].clamp(0, BINS - 1.01)
    below = sides.long()
    share = sides - below
    logits = bins[own].reshape(-1, BINS)
    near, far = (
        functional.cross_entropy(logits, index.reshape(-1), reduction="none").reshape(sides.shape)
        for index in (below, below + 1)
    )
    return (near * (1 - share) + far * share).mean(1)


def make_ssd_loss(model: SSDLite) -> Loss:
    """Cross-entropy on objects and on the hardest background, smooth L1 on offsets."""

    def measure(images: Tensor, truth: Truth) -> Tensor:
        offsets, logits = model.predict(images)
        owner = match_anchors(model.anchors, truth)
        has_box = owner >= 0
        rows = owner.clamp_min(0)
        boxes = truth.boxes.gather(1, rows[..., None].expand(-1, -1, 4))
        classes = (truth.classes.gather(1, rows) + 1) * has_box
        misses = functional.cross_entropy(logits.transpose(1, 2), classes, reduction="none")
        hardest = misses.masked_fill(has_box, 0).sort(1, descending=True).values
        count = has_box.sum(1, keepdim=True)
        wanted = torch.arange(hardest.shape[1]) < (_NEGATIVES * count).clamp_min(_NEGATIVES)
        shifts = functional.smooth_l1_loss(
            offsets[has_box], encode_boxes(model.anchors, boxes)[has_box], reduction="sum"
        )
        total = (misses * has_box).sum() + (hardest * wanted).sum() + shifts
        return total / count.sum().clamp_min(1)

    return measure


def match_anchors(anchors: Tensor, truth: Truth) -> Tensor:
    """Return the box of each anchor [N, A], -1 for the background: one that it overlaps by half, or
    one that no anchor overlaps more.
    """
    half = anchors[:, 2:] / 2
    corners = torch.cat([anchors[:, :2] - half, anchors[:, :2] + half], 1)
    overlaps = measure_iou(truth.boxes[:, :, None], corners[None, None])
    overlaps = overlaps.masked_fill(~truth.is_there[..., None], -1.0)
    best, owner = overlaps.max(1)
    owner = owner.masked_fill(best < _HALF, -1)
    for place in range(truth.boxes.shape[1]):
        rows = truth.is_there[:, place].nonzero()[:, 0]
        owner[rows, overlaps[rows, place].argmax(1)] = place
    return owner


def encode_boxes(anchors: Tensor, boxes: Tensor) -> Tensor:
    """Return the offsets that decode to boxes [N, A, 4]."""
    centre, sides = anchors.chunk(2, 1)
    start, end = boxes.chunk(2, 2)
    shift = ((start + end) / 2 - centre) / sides / VARIANCES[0]
    growth = ((end - start).clamp_min(1.0) / sides).log() / VARIANCES[1]
    return torch.cat([shift, growth], 2)
