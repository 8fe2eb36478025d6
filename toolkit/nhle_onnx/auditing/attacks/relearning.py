"""Relearning: how few steps on a few labelled samples bring the class back.

The attacker first resets the masked rows of the head; otherwise the attack would measure only the
mask. AIN = steps(edited) / steps(retrained); 1 is ideal (Chundawat et al., 2023).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean

import numpy as np
import numpy.typing as npt
import torch
from onnx import ModelProto
from torch import Tensor, nn
from torch.nn import functional

from nhle_onnx.auditing.context import AuditContext, CannotRunError, Target
from nhle_onnx.auditing.measures import make_measure
from nhle_onnx.auditing.samples import choose_known
from nhle_onnx.auditing.trainable import lower_target, place_images
from nhle_onnx.graph.head.head import HeadRows
from nhle_onnx.lowering.module import LoweredModel
from nhle_onnx.text import format_percent
from nhle_onnx.training.loop import make_relative_adam
from nhle_onnx.values.audit import Curves, Measure
from nhle_onnx.values.outcomes import Role

STEP_LIMIT = 40
FIRST_STEPS = 20  # taken with every model, so that mean Acc_F can be compared
TOLERANCE = 0.05  # of the original Acc_F: the class is back when Acc_F is this close to it
_STEPS_RESOLUTION = 2.0  # two networks within this many steps relearn equally fast
_RATE = 5e-3  # of each tensor's magnitude
_BATCH = 256
_JUDGED = 300  # samples of the forgotten classes, after each step


@dataclass(frozen=True, slots=True, kw_only=True)
class RelearnSamples:
    """Model inputs [N, ...] and their classes, for learning and for measuring."""

    known: npt.NDArray[np.float32]
    known_classes: npt.NDArray[np.int64]
    judged: npt.NDArray[np.float32]
    judged_classes: npt.NDArray[np.int64]


def reset_rows(rows: HeadRows, forgotten: Sequence[int]) -> HeadRows:
    """Return the head with zero rows for forgotten classes, their biases the others' mean."""
    weight, bias = rows.weight.copy(), rows.bias.copy()
    weight[list(forgotten)] = 0.0
    bias[list(forgotten)] = np.delete(bias, list(forgotten)).mean()
    return HeadRows(weight, bias)


def relearn(
    lowered: LoweredModel,
    samples: RelearnSamples,
    *,
    goal: float,
    device: torch.device,
    seed: int,
    on_step: Callable[[int], None],
) -> tuple[float, ...]:
    """Return Acc_F before the first and after each step, until it reaches `goal`.

    Takes at least 20 steps, and at most the limit. Trains all weights of `lowered`, which is on
    the device and returns scores and features, with cross-entropy.
    """
    module = lowered.module
    parameters = list(lowered.parameter_of.values())
    optimizer = make_relative_adam(parameters, _RATE)
    generator = torch.Generator().manual_seed(seed)
    labels = torch.from_numpy(samples.known_classes)
    curve = [_measure(module, samples, device)]
    for step in range(1, STEP_LIMIT + 1):
        if step > FIRST_STEPS and max(curve) >= goal:
            break
        chosen = torch.randperm(len(labels), generator=generator)[:_BATCH]
        logits = module(place_images(samples.known[chosen.numpy()], device))[0].flatten(1)
        loss = functional.cross_entropy(logits, labels[chosen].to(device))
        if not torch.isfinite(loss):
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(_measure(module, samples, device))
        on_step(step)
    return tuple(curve)


def count_steps(curve: Sequence[float], goal: float) -> int:
    """Return the first step at which the curve reaches `goal`, or one beyond the limit."""
    return next((step for step, value in enumerate(curve) if value >= goal), STEP_LIMIT + 1)


@torch.no_grad()
def _measure(module: nn.Module, samples: RelearnSamples, device: torch.device) -> float:
    hits: Tensor = torch.cat(
        [
            module(place_images(images, device))[0].flatten(1).argmax(1).cpu()
            for images in np.array_split(samples.judged[:_JUDGED], max(1, _JUDGED // _BATCH))
            if len(images)
        ]
    )
    return float((hits == torch.from_numpy(samples.judged_classes[:_JUDGED])).double().mean())


def attack_by_relearning(
    context: AuditContext,
    device: torch.device,
    curves: Curves,
    on_step: Callable[[Role, int, int], None],
) -> tuple[Measure, ...]:
    """Train on a few labelled samples until the class is back, and fill `curves`."""
    known = choose_known(context.classes, context.is_attack)
    samples = RelearnSamples(
        known=context.inputs[known],
        known_classes=context.classes[known],
        judged=context.inputs[context.is_judge],
        judged_classes=context.classes[context.is_judge],
    )
    original = context.targets["original"].answers.scores[context.is_judge]
    was = float((original.argmax(1) == context.classes[context.is_judge]).mean())
    goal = (1 - TOLERANCE) * was
    if not goal:
        raise CannotRunError("the original does not know the class")
    for role, target in context.targets.items():
        curves[role] = relearn(
            lower_target(context, role, _reset(context, target), device),
            samples,
            goal=goal,
            device=device,
            seed=context.seed,
            on_step=partial(_pass_on, on_step, role),
        )
    return _describe_curves(curves, goal, min(_JUDGED, len(samples.judged)))


def _describe_curves(
    curves: Mapping[Role, tuple[float, ...]], goal: float, images: int
) -> tuple[Measure, ...]:
    steps = {role: float(count_steps(curve, goal)) for role, curve in curves.items()}
    reported = make_measure(
        "relearning",
        "steps",
        f"steps until {format_percent(1 - TOLERANCE)} of the original Acc_F is back",
        steps,
        resolution=_STEPS_RESOLUTION,
        cap=STEP_LIMIT,
    )
    first = make_measure(
        "relearning",
        "mean_acc_f",
        f"Acc_F, mean of the first {FIRST_STEPS} steps of relearning",
        {role: fmean(curve[1 : FIRST_STEPS + 1] or curve) for role, curve in curves.items()},
        images=images,
    )
    if "reference" not in steps:
        return reported, first
    ratios = {role: count / max(1.0, steps["reference"]) for role, count in steps.items()}
    title = "steps relative to the retrained model's (AIN)"
    return reported, first, make_measure("relearning", "ain", title, ratios, places=False)


def _pass_on(on_step: Callable[[Role, int, int], None], role: Role, step: int) -> None:
    on_step(role, step, STEP_LIMIT)


def _reset(context: AuditContext, target: Target) -> ModelProto:
    return target.head.with_rows(reset_rows(target.head.rows, context.forgotten))
