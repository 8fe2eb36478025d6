"""Relearning: how few steps on a few labelled samples bring the class back (METHOD §4).

The attacker first resets what masks the class in the head: against a floor mask any other protocol
measures the mask. AIN = steps(edited) / steps(retrained); 1 is ideal (Chundawat et al., 2023).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from nhle_onnx.audit.head_rows import HeadRows
from nhle_onnx.lowering.module import LoweredModel
from nhle_onnx.training.loop import make_relative_adam

SAMPLES_PER_CLASS = 16
STEP_LIMIT = 40
TOLERANCE = 0.05  # of the original Acc_F: the class is back once this close to it
_RATE = 5e-3  # of each tensor's magnitude
_BATCH = 256
_JUDGED = 300  # samples of the forgotten classes, after each step


@dataclass(frozen=True, slots=True, kw_only=True)
class RelearnSamples:
    """Images [N, ...] as the model takes them and their classes: to learn from, and to judge."""

    known: npt.NDArray[np.float32]
    known_classes: npt.NDArray[np.int64]
    judged: npt.NDArray[np.float32]
    judged_classes: npt.NDArray[np.int64]


def reset_rows(rows: HeadRows, forgotten: Sequence[int]) -> HeadRows:
    """The head with the forgotten classes' rows zero, and their biases the others' mean."""
    kept = [index for index in range(len(rows.bias)) if index not in forgotten]
    weight, bias = rows.weight.copy(), rows.bias.copy()
    weight[list(forgotten)] = 0.0
    bias[list(forgotten)] = bias[kept].mean()
    return HeadRows(weight, bias)


def choose_known(
    classes: npt.NDArray[np.int64], is_attack: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """The attacker's first samples of each class, as indices."""
    return np.concatenate(
        [
            np.flatnonzero(is_attack & (classes == index))[:SAMPLES_PER_CLASS]
            for index in np.unique(classes)
        ]
    )


def relearn(
    lowered: LoweredModel,
    samples: RelearnSamples,
    *,
    goal: float,
    device: torch.device,
    seed: int,
    on_step: Callable[[int], None],
) -> tuple[float, ...]:
    """Acc_F before the first step and after each, until it is `goal` or the steps run out.

    Trains all weights of `lowered`, which gives scores and features, by cross-entropy.
    """
    module = lowered.module.to(device)
    parameters = list(lowered.parameter_of.values())
    optimizer = make_relative_adam(parameters, _RATE)
    generator = torch.Generator().manual_seed(seed)
    images = torch.from_numpy(samples.known)
    labels = torch.from_numpy(samples.known_classes)
    curve = [_measure(module, samples, device)]
    for step in range(1, STEP_LIMIT + 1):
        if curve[-1] >= goal:
            break
        chosen = torch.randperm(len(images), generator=generator)[:_BATCH]
        logits = module(images[chosen].to(device))[0].flatten(1)
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
    """The first step at which the curve is at `goal`; the limit where it never is."""
    return next((step for step, value in enumerate(curve) if value >= goal), STEP_LIMIT)


@torch.no_grad()
def _measure(module: nn.Module, samples: RelearnSamples, device: torch.device) -> float:
    hits: Tensor = torch.cat(
        [
            module(torch.from_numpy(images).to(device))[0].flatten(1).argmax(1).cpu()
            for images in np.array_split(samples.judged[:_JUDGED], max(1, _JUDGED // _BATCH))
            if len(images)
        ]
    )
    return float((hits == torch.from_numpy(samples.judged_classes[:_JUDGED])).double().mean())
