"""What training holds in memory: each weight no more often than it must."""

import torch
from torch import nn

from nhle_onnx.lowering.module import LoweredModel
from nhle_onnx.training.loop import Losses, Stepper, make_relative_adam
from nhle_onnx.unlearning.probing import Probe
from nhle_onnx.unlearning.pursuit import Goal, pursue
from nhle_onnx.values.options import UnlearnOptions

PROBE = Probe(scale=1.0, margin=1.0, mirrors=False, max_shift=1, answers=())


def test_the_original_shares_what_is_not_trained() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).eval()
    parts: dict[str, nn.Module] = {}

    def make_goal(module: nn.Module, original: nn.Module) -> Goal:
        parts.update(module=module, original=original)

        def measure() -> Losses:
            loss = module(torch.ones(2, 3)).square().mean()
            none = loss.new_zeros(())
            return Losses(
                forget=loss,
                retain=none,
                alignment=none,
                drift=0.0,
                forget_margin=0.0,
                win_margin=0.0,
            )

        return Goal(measure, PROBE, measures=False)

    lowered = LoweredModel(
        module=network, parameter_of=dict(network.named_parameters()), quantized=frozenset()
    )
    options = UnlearnOptions(steps=2)
    pursue(lowered, ["2.weight"], make_goal, options, on_step=lambda _: None)
    module, original = parts["module"].state_dict(), parts["original"].state_dict()
    shared = {name for name in module if module[name].data_ptr() == original[name].data_ptr()}
    assert shared == set(module) - {"2.weight"}
    assert not torch.equal(module["2.weight"], original["2.weight"])


def test_gradients_are_let_go_after_a_step() -> None:
    layer = nn.Linear(3, 2)
    before = layer.weight.detach().clone()
    stepper = Stepper(make_relative_adam([*layer.parameters()], 1.0), undoes=True)
    stepper.step(layer(torch.ones(1, 3)).sum(), 0.1)
    assert layer.weight.grad is None
    assert not torch.equal(layer.weight, before)
    stepper.take_back()
    assert torch.equal(layer.weight, before)
