"""Small changes of forget samples that bring the class back (PGD, Madry et al., 2018)."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nhle_onnx.auditing.context import AuditContext
from nhle_onnx.auditing.measures import make_measure
from nhle_onnx.auditing.trainable import lower_target, place_images
from nhle_onnx.auditing.unmasked import list_fitting
from nhle_onnx.text import format_percent
from nhle_onnx.values.audit import Measure

REACH = 0.03  # of the range of the images' values
_STEPS = 10
_STRIDE = 2.5 / _STEPS  # of the reach, so that its border can be reached from anywhere within
_JUDGED = 200  # images of the class
_BATCH = 100


def attack_by_perturbing(context: AuditContext, device: torch.device) -> tuple[Measure, ...]:
    """Attack with the original's head on images of the class, each moved towards the class."""
    chosen = np.flatnonzero(context.is_judge)[:_JUDGED]
    images, classes = context.inputs[chosen], context.classes[chosen]
    low, high = float(context.inputs.min()), float(context.inputs.max())
    values = {}
    for role, proto in list_fitting(context).items():
        module = lower_target(context, role, proto, device).module
        module.requires_grad_(requires_grad=False)
        hits = [
            perturb(module, part, labels, low=low, high=high, device=device, seed=context.seed)
            for part, labels in zip(
                *(np.array_split(each, -(-len(chosen) // _BATCH)) for each in (images, classes)),
                strict=True,
            )
        ]
        values[role] = float(np.concatenate(hits).mean())
    reach = format_percent(REACH)
    title = f"Acc_F with the original's head, images changed by up to {reach}"
    return (make_measure("perturbation", "original_head", title, values, places=False),)


def perturb(
    module: nn.Module,
    images: npt.NDArray[np.float32],
    classes: npt.NDArray[np.int64],
    *,
    low: float,
    high: float,
    device: torch.device,
    seed: int,
) -> npt.NDArray[np.bool_]:
    """Return which images [N, ...] the module takes for their class at any step of the way up the
    class's margin, within the reach of each image and the range of all.
    """
    reach = REACH * (high - low)
    given, labels = place_images(images, device), torch.from_numpy(classes).to(device)
    generator = torch.Generator().manual_seed(seed)
    start = (2 * torch.rand(given.shape, generator=generator) - 1) * reach
    moved = (given + start.to(given)).clamp(low, high)
    found = _recognise(module, given, labels)
    for _ in range(_STEPS):
        moved.requires_grad_()
        (ascent,) = torch.autograd.grad(_measure_margin(module(moved)[0], labels).sum(), moved)
        with torch.no_grad():
            stepped = moved + _STRIDE * reach * ascent.sign()
            moved = given + (stepped - given).clamp(-reach, reach)
            moved = moved.clamp(low, high)
        found |= _recognise(module, moved, labels)
    recognised: npt.NDArray[np.bool_] = found.cpu().numpy()
    return recognised


def _measure_margin(scores: Tensor, labels: Tensor) -> Tensor:
    """Return by how much each image's class leads the best other one, [N]."""
    flat = scores.flatten(1)
    own = nn.functional.one_hot(labels, flat.shape[1]).bool()
    return flat[own] - flat.masked_fill(own, -torch.inf).amax(1)


@torch.no_grad()
def _recognise(module: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    hits: Tensor = module(images)[0].flatten(1).argmax(1) == labels
    return hits
