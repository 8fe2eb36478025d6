"""The accuracy of a network with a `classifier`, with its own head and with the original one."""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class TestData(NamedTuple):
    """Inputs [N, C, H, W] and labels [N]."""

    inputs: Tensor
    labels: Tensor


class Accuracies(NamedTuple):
    """Fractions of test samples; `unmasked` is Acc_F with the original head."""

    acc_f: float
    acc_r: float
    unmasked: float


@torch.no_grad()
def extract_features(network: nn.Module, inputs: Tensor) -> Tensor:
    """Return the classifier's input, [N, D]."""
    taken: list[Tensor] = []
    classifier = network.get_submodule("classifier")
    hook = classifier.register_forward_pre_hook(lambda _module, args: taken.append(args[0]))
    try:
        for batch in inputs.split(500):
            network(batch)
    finally:
        hook.remove()
    return torch.cat(taken)


@torch.no_grad()
def measure_accuracies(
    network: nn.Module, original: nn.Module, data: TestData, forgotten: tuple[int, ...]
) -> Accuracies:
    """Measure by argmax over all classes, with the network's own head and with the original's."""
    features = extract_features(network, data.inputs)
    own, restored = (
        classifier(features).argmax(1) == data.labels
        for classifier in (
            network.get_submodule("classifier"),
            original.get_submodule("classifier"),
        )
    )
    is_forgotten = torch.isin(data.labels, torch.tensor(forgotten))
    return Accuracies(
        acc_f=float(own[is_forgotten].double().mean()),
        acc_r=float(own[~is_forgotten].double().mean()),
        unmasked=float(restored[is_forgotten].double().mean()),
    )
