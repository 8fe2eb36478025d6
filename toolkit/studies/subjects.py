"""Trained networks with their test data."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from studies.datasets import Dataset
from studies.evaluation import TestData
from studies.networks import NETWORKS, get_network, measure_statistics, prepare_inputs


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """A trained network, its data set, and its test data as inputs."""

    dataset: Dataset
    name: str
    network: nn.Module
    test: TestData


def open_classifier(dataset: Dataset, name: str, cache: Path) -> Classifier:
    """Open a trained network and its test data; it is trained if the cache lacks it."""
    inputs = prepare_inputs(dataset.test.images, NETWORKS[name], measure_statistics(dataset))
    test = TestData(inputs, torch.from_numpy(dataset.test.labels))
    return Classifier(dataset, name, get_network(dataset, name, cache), test)
