"""A network of transformers by both exporters of torch."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from shared import Writers, make_files
from train_transformers import Scores, make_network

from studies.strangers.build import export
from studies.strangers.table import Exporter

EXPORTERS: Mapping[str, Exporter] = {"dynamo": "dynamo", "torchscript": "folded"}


def list_writers(name: str, given: Path) -> Writers:
    """Read the network, and list both exporters."""
    network = Scores(type(make_network(name)).from_pretrained(given)).eval()
    example = torch.zeros(2, 1, 32, 32)
    return {key: partial(export, network, example, kind) for key, kind in EXPORTERS.items()}


if __name__ == "__main__":
    make_files(list_writers)
