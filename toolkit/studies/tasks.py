"""The input of a method: a trained network, samples to forget, and its group's data."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from studies.datasets import Dataset
from studies.networks import NETWORKS, measure_statistics, prepare_inputs

FORGET_SAMPLES = 16  # divided among the classes to forget
ANCHORS_PER_CLASS = 16  # for each retained class, if a method gets any


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """A network and samples: inputs [N, C, H, W], normalised, and labels [N].

    `network` is in inference mode, is never changed, and ends in `classifier`, a Linear. `anchors`
    are unlabelled samples of retained classes; `retained` and `retained_labels` are labelled ones.
    Each is empty if the group of methods has no such data.
    """

    network: nn.Module
    num_classes: int
    forgotten: tuple[int, ...]
    forget: Tensor
    forget_labels: Tensor
    anchors: Tensor
    retained: Tensor
    retained_labels: Tensor
    seed: int

    @property
    def kept(self) -> list[int]:
        """The retained classes."""
        return [index for index in range(self.num_classes) if index not in self.forgotten]


def draw_task(
    dataset: Dataset,
    name: str,
    network: nn.Module,
    forgotten: tuple[int, ...],
    *,
    per_class: int,
    seed: int,
    anchors_per_class: int = 0,
    retained_per_class: int = 0,
) -> Task:
    """Draw training samples of each class by `seed`; anchors and retained samples are the same."""
    rng = np.random.default_rng([seed, *forgotten])
    labels = dataset.train.labels
    chosen = {
        index: rng.permutation(np.flatnonzero(labels == index))
        for index in range(dataset.num_classes)
    }
    kept = [index for index in range(dataset.num_classes) if index not in forgotten]

    def take(classes: list[int], count: int) -> tuple[Tensor, Tensor]:
        positions = np.concatenate([chosen[index][:count] for index in classes])
        inputs = prepare_inputs(
            dataset.train.images[positions], NETWORKS[name], measure_statistics(dataset)
        )
        return inputs, torch.from_numpy(labels[positions])

    forget, forget_labels = take(list(forgotten), per_class)
    retained, retained_labels = take(kept, retained_per_class)
    return Task(
        network=network,
        num_classes=dataset.num_classes,
        forgotten=forgotten,
        forget=forget,
        forget_labels=forget_labels,
        anchors=take(kept, anchors_per_class)[0],
        retained=retained,
        retained_labels=retained_labels,
        seed=seed,
    )
