"""Relearning: how fast a few training steps on scenes with boxes bring the class back.

The attacker first resets the channels of forgotten classes; otherwise the attack would measure only
the mask.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import NamedTuple

import numpy as np
import torch
from onnx import ModelProto
from torch import Tensor, nn
from torch.nn import functional

from nhle_onnx.auditing.context import Array, CannotRunError
from nhle_onnx.auditing.detection.context import NO_CLASS, DetectorContext, DetectorTarget
from nhle_onnx.auditing.detection.locations import UNSURE, label_locations, match_boxes
from nhle_onnx.auditing.measures import make_measure
from nhle_onnx.auditing.trainable import place_images
from nhle_onnx.detection.reading import Answers, read_answers
from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.head.head import Head
from nhle_onnx.text import format_percent
from nhle_onnx.training.loop import make_relative_adam
from nhle_onnx.training.overlap import measure_overlaps
from nhle_onnx.values.audit import Curves, Measure
from nhle_onnx.values.outcomes import Role

STEP_LIMIT = 20
_STEPS_RESOLUTION = 2.0  # two networks within this many steps relearn equally fast
_BACK = 0.8  # of the original AP: boxes that moved a little cost the rest
_RATE = 1e-3  # of each tensor's magnitude; more loses boxes again
_KNOWN = 16  # of the attacker's scenes with the class, and as many without
_JUDGED = 32  # scenes with the class, after each step
_BATCH = 8
_TINY = 1e-6


def attack_by_relearning(
    context: DetectorContext,
    device: torch.device,
    curves: Curves,
    on_step: Callable[[Role, int, int], None],
) -> tuple[Measure, ...]:
    """Train on a few scenes with boxes, and fill `curves` with the AP of the class."""
    context.require_shown()
    judged = _choose(context, is_attack=False)[:_JUDGED]
    original = context.targets["original"]
    was = context.measure("original", original.model.proto, judged).ap_f or 0.0
    goal = _BACK * was
    if not goal:
        raise CannotRunError("the original does not know the class", leaves_gap=True)
    known = [
        *_choose(context, is_attack=True)[:_KNOWN],
        *_choose(context, is_attack=True, shows=False)[:_KNOWN],
    ]
    for role in context.targets:
        curves[role] = _relearn(context, role, (known, judged), device, partial(on_step, role))
    return _describe_curves(curves, goal, len(judged))


def _choose(context: DetectorContext, *, is_attack: bool, shows: bool = True) -> list[int]:
    """Return the attacker's or the judge's scenes with a forgotten class, or without any."""
    chosen = (context.is_attack == is_attack) & ((context.shown != NO_CLASS) == shows)
    return np.flatnonzero(chosen).tolist()


def _relearn(
    context: DetectorContext,
    role: Role,
    scenes: tuple[list[int], list[int]],
    device: torch.device,
    on_step: Callable[[int, int], None],
) -> tuple[float, ...]:
    """Return the AP before the first and after each step."""
    target = context.targets[role]
    known, judged = scenes
    images, judging = (context.scenes.choose(each).read() for each in scenes)
    wanted = _label(context, known)
    reset = reset_channels(context, target)
    try:
        lowered = context.lower(role, reset, images)
    except UnsupportedModelError as error:
        raise CannotRunError(f"the {role} model cannot be trained: {error.reason}") from error
    module = lowered.module.to(device)
    optimizer = make_relative_adam(list(lowered.parameter_of.values()), _RATE)
    generator = torch.Generator().manual_seed(context.seed)
    rate = partial(_rate, context, target, module, judging, judged, device)
    curve = [rate()]
    for step in range(1, STEP_LIMIT + 1):
        chosen = torch.randperm(len(known), generator=generator)[:_BATCH]
        answers = _run(module, target, images[chosen.numpy()], device)
        loss = measure_loss(answers, Wanted(*(each[chosen].to(device) for each in wanted)))
        if not torch.isfinite(loss):
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(rate())
        on_step(step, STEP_LIMIT)
    return tuple(curve)


def reset_channels(context: DetectorContext, target: DetectorTarget) -> ModelProto:
    """Return a copy whose forgotten classes have zero weights, and the mean bias of the others."""
    reset = copy_model(target.model.proto)
    forgotten, retained = list(context.request.forget), list(context.request.retained)
    for layer in target.detector.layers:
        head = Head(reset, layer.head)
        rows = head.own_rows
        rows.weight[forgotten] = 0.0
        rows.bias[forgotten] = rows.bias[retained].mean()
        head.write_rows(rows)
    return reset


class Wanted(NamedTuple):
    """The class [N, A] of the object that each location shows, `NO_CLASS` for background, `UNSURE`
    for what counts for nothing; and the object's box [N, A, 4].
    """

    classes: Tensor
    boxes: Tensor


def _label(context: DetectorContext, known: list[int]) -> Wanted:
    """Return what the locations of some scenes show, by the original's boxes."""
    truth = context.truth
    found = [
        (label_locations(boxes, truth[place]), match_boxes(boxes, truth[place]))
        for boxes, place in zip(context.look(known).boxes, known, strict=True)
    ]
    return Wanted(*(torch.from_numpy(np.stack(each)) for each in zip(*found, strict=True)))


def measure_loss(answers: Answers, wanted: Wanted) -> Tensor:
    """Return the cross-entropy of scores [N, A, C], and what boxes lack of the objects', summed,
    for each location that shows an object.
    """
    classes = wanted.classes
    shows = classes >= 0
    targets = torch.zeros_like(answers.scores)
    targets[shows, classes[shows]] = 1.0
    losses = functional.binary_cross_entropy(
        answers.scores.clamp(_TINY, 1 - _TINY), targets, reduction="none"
    )
    overlaps = measure_overlaps(answers.boxes[shows], wanted.boxes[shows])
    total = losses[classes != UNSURE].sum() + (1 - overlaps).sum()
    return total / shows.sum().clamp_min(1)


def _run(module: nn.Module, target: DetectorTarget, images: Array, device: torch.device) -> Answers:
    boxes, scores = module(place_images(images, device))[:2]
    return read_answers(target.detector, boxes, scores, target.extents, torch)


@torch.no_grad()
def _rate(
    context: DetectorContext,
    target: DetectorTarget,
    module: nn.Module,
    images: Array,
    judged: list[int],
    device: torch.device,
) -> float:
    parts = [
        _run(module, target, images[start : start + _BATCH], device)
        for start in range(0, len(images), _BATCH)
    ]
    boxes, scores = (torch.cat(each).float().cpu().numpy() for each in zip(*parts, strict=True))
    return context.rate(Answers(boxes, scores), judged) or 0.0


def count_steps(curve: Sequence[float], goal: float) -> int:
    """Return the first step at which the curve reaches `goal`, or one beyond the limit."""
    return next((step for step, value in enumerate(curve) if value >= goal), STEP_LIMIT + 1)


def _describe_curves(
    curves: Mapping[Role, tuple[float, ...]], goal: float, images: int
) -> tuple[Measure, ...]:
    return (
        make_measure(
            "relearning",
            f"steps_to_{100 * _BACK:.0f}",
            f"steps until {format_percent(_BACK)} of the original AP_F is back",
            {role: float(count_steps(curve, goal)) for role, curve in curves.items()},
            resolution=_STEPS_RESOLUTION,
            cap=STEP_LIMIT,
        ),
        make_measure(
            "relearning",
            "mean_ap_f",
            "AP_F, mean of all steps of relearning",
            {role: fmean(curve[1:] or curve) for role, curve in curves.items()},
            images=images,
        ),
    )
