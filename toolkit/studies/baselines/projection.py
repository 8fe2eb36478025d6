"""DAMP, depth-aware modulation by projection: Hatami et al., arXiv 2604.15166.

Written from its abstract: at the input of every learnable operator, the residuals of forgotten
prototypes relative to retained ones are the forget directions. They are projected out of the
operator's weights in closed form, more strongly where a probe separates the classes better.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from studies.baselines.shared import copy_network, predict_kept
from studies.tasks import Task

_RANK_TOLERANCE = 1e-4  # relative to the prototypes


@torch.no_grad()
def projection(task: Task, *, strength: float, residual: str) -> nn.Module:
    """Project out forget directions, with prototypes from forget samples and anchors.

    Anchors count for their predicted class. `residual` chooses between two readings of the
    abstract: the residual of a forget prototype is taken from the `span` of the retained ones, or
    from their `mean`. Grouped convolutions are not changed.
    """
    network = copy_network(task.network)
    inputs = torch.cat([task.forget, task.anchors])
    anchor_classes = predict_kept(task.network, task.anchors, task)
    classes = torch.cat([task.forget_labels, anchor_classes])
    is_forget = torch.arange(len(inputs)) < len(task.forget)
    for operator, features in record_inputs(network, inputs):
        forget = average_classes(features[is_forget], classes[is_forget])
        retained = average_classes(features[~is_forget], classes[~is_forget])
        directions = find_directions(forget, retained, residual)
        share = strength * measure_separability(features, is_forget, forget, retained)
        operator.weight.copy_(remove_directions(operator.weight, directions, share))
    return network


def record_inputs(
    network: nn.Module, inputs: Tensor
) -> Iterator[tuple[nn.Linear | nn.Conv2d, Tensor]]:
    """Record each operator's input [N, D], averaged over space, before any edit."""
    recorded: dict[nn.Module, Tensor] = {}

    def keep(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        features = arguments[0]
        recorded[module] = features.flatten(2).mean(2) if features.ndim > 2 else features  # noqa: PLR2004

    operators = [
        module
        for module in network.modules()
        if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)
    ]
    hooks = [operator.register_forward_pre_hook(keep) for operator in operators]
    network(inputs)
    for hook in hooks:
        hook.remove()
    return ((operator, recorded[operator]) for operator in operators if operator in recorded)


def average_classes(features: Tensor, classes: Tensor) -> Tensor:
    """Return prototypes [number of classes, D]."""
    return torch.stack([features[classes == index].mean(0) for index in classes.unique()])


def find_directions(forget: Tensor, retained: Tensor, residual: str) -> Tensor:
    """Return orthonormal columns [D, R] that span the forget prototypes' residuals; R may be 0."""
    if residual == "mean":
        left = forget - retained.mean(0)
    else:
        basis = _orthonormalise(retained, retained.norm())
        left = forget - forget @ basis @ basis.T
    return _orthonormalise(left, forget.norm())


def measure_separability(
    features: Tensor, is_forget: Tensor, forget: Tensor, retained: Tensor
) -> float:
    """Measure how well the nearest prototype tells forgotten from retained samples: 0 is chance."""
    nearest = torch.cdist(features, torch.cat([forget, retained])).argmin(1) < len(forget)
    recalls = [
        (nearest[part] == is_forget[part]).double().mean() for part in (is_forget, ~is_forget)
    ]
    return max(0.0, float(sum(recalls)) - 1.0)


def remove_directions(weight: Tensor, directions: Tensor, share: float) -> Tensor:
    """Return W - share W V Vᵀ, over the input units of a weight [O, D, ...]."""
    projector = directions @ directions.T
    return weight - share * torch.einsum("od...,de->oe...", weight, projector)


def _orthonormalise(rows: Tensor, scale: Tensor) -> Tensor:
    """Return an orthonormal basis [D, R] of the rows' span, without parts far below `scale`."""
    _, values, vectors = torch.linalg.svd(rows, full_matrices=False)
    basis: Tensor = vectors[values > _RANK_TOLERANCE * scale]
    return basis.T
