"""ESC, erasing space concept: Lee et al., arXiv 2504.02199."""

import torch
from torch import Tensor, nn

from studies.baselines.shared import copy_network, get_classifier
from studies.evaluation import extract_features
from studies.tasks import Task


def erase_subspace(task: Task, *, share: float) -> nn.Module:
    """Project the principal directions of the forget features out of all features, in closed form.

    `share` is the number of directions, relative to the number of features; 16 samples have no more
    than 16. The projection comes before the head and counts as part of the features, as in the
    paper. That favours it here: with this one operator taken out again, nothing is forgotten. ESC-T
    then trains a mask of the directions' elements, which is left out.
    """
    network = copy_network(task.network)
    features = extract_features(task.network, task.forget)
    projector = make_projector(features, max(1, round(share * features.shape[1])))
    get_classifier(network).register_forward_pre_hook(lambda _, inputs: (inputs[0] @ projector,))
    return network


def make_projector(features: Tensor, count: int) -> Tensor:
    """Return I - U Uᵀ [D, D], with the `count` first right singular vectors of features [N, D]."""
    _, _, directions = torch.linalg.svd(features, full_matrices=False)
    erased: Tensor = directions[:count]
    return torch.eye(features.shape[1]) - erased.T @ erased
