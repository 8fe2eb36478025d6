"""Samples are forgotten together with what lies about them."""

import torch
from torch import nn

from nhle_onnx.unlearn.nhle import encode_negative_hot, measure_lead
from nhle_onnx.unlearn.objective import HARDENING, ForgetObjective
from nhle_onnx.values.request import ForgetRequest


class Network(nn.Module):
    """Scores and features, as a lowered model gives them."""

    def __init__(self, body: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.body, self.head = body, head

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.body(images)
        return self.head(features), features


def make_objective(module: nn.Module, forget: torch.Tensor) -> ForgetObjective:
    return ForgetObjective(
        module=module,
        original=module,
        request=ForgetRequest(forget=(1,), num_classes=3),
        loss="saturating",
        forget=forget,
        forget_classes=torch.ones(len(forget), dtype=torch.int64),
        anchors=forget[:0],
        synthesizes=False,
        mirrors=False,
        scale=1.0,
        batch_size=16,
        layout="NCHW",
        device=torch.device("cpu"),
        generator=torch.Generator().manual_seed(0),
    )


def test_hardened_samples_lie_near_and_lead_more() -> None:
    torch.manual_seed(0)
    module = Network(nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh()), nn.Linear(16, 3))
    images = torch.randn(16, 1, 8, 8)
    objective = make_objective(module, images)
    labels = encode_negative_hot(objective.forget_classes, objective.request)
    hardened = objective.harden(images, labels)
    distance = (hardened - images).square().mean((1, 2, 3)).sqrt()
    assert (distance <= HARDENING * images.std() + 1e-6).all()
    with torch.no_grad():
        before, after = (measure_lead(module(each)[0], labels) for each in (images, hardened))
    moved = distance > 0
    assert 0 < moved.sum() < len(images)
    assert (after[moved] > before[moved]).all()
    assert torch.equal(hardened[~moved], images[~moved])
    assert all(parameter.grad is None for parameter in module.parameters())


def test_a_network_that_ignores_its_input_hardens_nothing() -> None:
    module = Network(nn.Flatten(), nn.Linear(64, 3))
    module.head.weight.data.zero_()
    images = torch.randn(4, 1, 8, 8)
    objective = make_objective(module, images)
    labels = encode_negative_hot(objective.forget_classes, objective.request)
    assert torch.equal(objective.harden(images, labels), images)
