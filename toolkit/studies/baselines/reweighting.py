"""TREW, tilted reweighting: Ebrahimpour-Boroojeny et al., arXiv 2506.20893."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from studies.baselines.shared import (
    copy_network,
    descend,
    diverge,
    draw_batch,
    drop_forgotten,
    get_classifier,
    make_generator,
    make_sgd,
    predict,
)
from studies.tasks import Task

SHARPNESS = 10.0  # of the softmax over similarities


def tilted_reweighting(task: Task, *, rate: float, steps: int, tilt: float) -> nn.Module:
    """Learn, on forget samples, the distribution that a retrained network would be likely to give.

    That is q_j ∝ p_j exp(tilt s_j) over the retained classes: the original's probabilities, tilted
    towards classes similar to the sample's own. Retained samples, if the group has any, follow
    their labels.

    In the style of the paper, from its abstract and reviews, which say that s is a sharp softmax
    over cosines of the head's rows after PCA. Assumed here: all of PCA's components (which only
    moves the rows' mean to 0), the sharpness, and equal weights of both losses.
    """
    network, generator = copy_network(task.network), make_generator(task)
    targets = make_targets(task, tilt)

    def measure_loss() -> Tensor:
        inputs, labels = draw_batch(task.retained, task.retained_labels, generator)
        logits = network(torch.cat([task.forget, inputs]))
        forget, retained = logits.split([len(targets), len(labels)])
        error = functional.cross_entropy(retained, labels, reduction="sum")
        return diverge(targets, forget) + error / max(1, len(labels))

    descend(make_sgd(network.parameters(), rate), measure_loss, steps)
    return network


def make_targets(task: Task, tilt: float) -> Tensor:
    """Return the tilted distributions of the forget samples as logits, [N, K]."""
    similarity = compare_classes(get_classifier(task.network).weight.detach(), task)
    tilted = predict(task.network, task.forget) + tilt * similarity[task.forget_labels]
    return drop_forgotten(tilted, task)


def compare_classes(rows: Tensor, task: Task) -> Tensor:
    """Return each class's similarities [K, K], which add up to 1 over the retained classes."""
    directions = functional.normalize(rows - rows.mean(0))
    return drop_forgotten(SHARPNESS * directions @ directions.T, task).softmax(1)
