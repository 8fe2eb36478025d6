"""Revival: training on retained samples alone, under the original's head."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from nhle_onnx.auditing.context import AuditContext
from nhle_onnx.auditing.measures import make_measure
from nhle_onnx.auditing.samples import choose_known
from nhle_onnx.auditing.trainable import lower_target, place_images
from nhle_onnx.auditing.unmasked import list_fitting
from nhle_onnx.lowering.module import LoweredModel
from nhle_onnx.training.loop import make_relative_adam
from nhle_onnx.values.audit import Measure
from nhle_onnx.values.outcomes import Role

STEPS = 200
_RATE = 5e-3  # of each tensor's magnitude, as in relearning
_BATCH = 256
_EVERY = 10  # steps
_JUDGED = 300  # samples of the forgotten classes


def attack_by_revival(
    context: AuditContext, device: torch.device, on_step: Callable[[Role, int, int], None]
) -> tuple[Measure, ...]:
    """Attack by training on a few retained samples; no sample of the class is used."""
    values: dict[Role, float] = {}
    for role, proto in list_fitting(context).items():
        if role == "original":  # it knows the class without training
            continue
        lowered = lower_target(context, role, proto, device)
        own = {
            name
            for part in context.targets[role].layout.all_parts
            for name in (part.weight, part.bias)
        }
        values[role] = max(_revive(context, lowered, own, role, device, on_step))
    title = f"Acc_F with the original's head, highest in {STEPS} steps on retained samples alone"
    return (make_measure("revival", "unmasked", title, values, places=False),)


def _revive(
    context: AuditContext,
    lowered: LoweredModel,
    own: set[str | None],
    role: Role,
    device: torch.device,
    on_step: Callable[[Role, int, int], None],
) -> list[float]:
    """Return Acc_F before training and after every few steps; the head stays as it is."""
    known = choose_known(context.classes, context.is_attack)
    known = known[~context.is_forgotten[known]]
    labels = torch.from_numpy(context.classes[known]).to(device)
    trained = [each for name, each in lowered.parameter_of.items() if name not in own]
    optimizer = make_relative_adam(trained, _RATE)
    generator = torch.Generator().manual_seed(context.seed)
    curve = [_measure(context, lowered.module, device)]
    for step in range(1, STEPS + 1):
        chosen = torch.randperm(len(known), generator=generator)[:_BATCH]
        images = place_images(context.inputs[known[chosen.numpy()]], device)
        loss = functional.cross_entropy(lowered.module(images)[0].flatten(1), labels[chosen])
        if not torch.isfinite(loss):
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % _EVERY == 0:
            curve.append(_measure(context, lowered.module, device))
        on_step(role, step, STEPS)
    return curve


@torch.no_grad()
def _measure(context: AuditContext, module: nn.Module, device: torch.device) -> float:
    judged = np.flatnonzero(context.is_judge)[:_JUDGED]
    hits = [
        module(place_images(context.inputs[part], device))[0].flatten(1).argmax(1).cpu().numpy()
        == context.classes[part]
        for part in np.array_split(judged, -(-len(judged) // _BATCH))
    ]
    return float(np.concatenate(hits).mean())
