"""An attacker who trains on a copy: what is measured, and what training against it brings."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nhle_onnx.graph.head.head import HeadRows
from nhle_onnx.unlearning.resistance import Labelled, Resistance, label
from nhle_onnx.values.request import ForgetRequest

REQUEST = ForgetRequest(forget=(1,), num_classes=3)


class Network(nn.Module):
    """Scores and features of vectors of eight numbers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.body, self.head = nn.Linear(8, 6), nn.Linear(6, 3)
        self.head.requires_grad_(requires_grad=False)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        features = torch.tanh(self.body(inputs))
        return self.head(features), features


def read_rows(network: Network) -> HeadRows:
    return HeadRows(*(each.detach().double().numpy() for each in network.head.parameters()))


def make_resistance(network: Network, most_steps: int = 6) -> Resistance:
    return Resistance(network, read_rows(network), REQUEST, most_steps=most_steps)


def draw(count: int, seed: int) -> Labelled:
    """Half of class 1, which has one sign, and half of the others."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(2 * count, 8, generator=generator)
    inputs[:count] = inputs[:count].abs()
    logits = torch.randn(2 * count, 3, generator=generator)
    return Labelled(inputs, label(logits, torch.ones(count, dtype=torch.long), REQUEST))


def pick(samples: Labelled, count: int) -> Labelled:
    return Labelled(samples.inputs[:count], samples.answers[:count])


def measure(resistance: Resistance, seed: int = 0) -> Tensor:
    known, fresh = draw(16, seed), pick(draw(8, seed + 100), 8)
    return resistance.measure(known, fresh, torch.Generator().manual_seed(seed))


def test_an_attacker_takes_anchors_for_what_the_original_says_of_retained_classes() -> None:
    logits = torch.tensor([[0.0, 9.0, 0.0], [1.0, 9.0, 1.0]])
    answers = label(logits, torch.tensor([1]), REQUEST)
    assert answers.tolist() == [[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]]


def test_the_network_stays_as_it_is_and_gets_a_gradient_where_it_trains() -> None:
    network = Network()
    before = copy.deepcopy(network.state_dict())
    loss = measure(make_resistance(network))
    loss.backward()
    assert loss.item() > 0
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(each.grad.abs().sum() > 0 for each in network.body.parameters())
    assert all(each.grad is None for each in network.head.parameters())


def test_the_gradient_is_that_at_the_attackers_weights() -> None:
    """Two attackers from the same network who differ in how far they went have different ones."""
    gradients = []
    for steps in (1, 200):
        network = Network()
        resistance = make_resistance(network, steps)
        known, fresh = draw(16, 0), pick(draw(8, 100), 8)
        resistance.measure(known, fresh, torch.Generator().manual_seed(1)).backward()
        gradients.append(network.body.weight.grad)
    assert not torch.allclose(*gradients)


def test_what_the_head_says_of_the_class_does_not_help_the_attacker() -> None:
    """He starts with a reset row, so that the same is measured whatever the row was."""
    plain, telling = Network(), Network()
    telling.head.weight[1] *= -1
    losses = [
        measure(Resistance(each, read_rows(plain), REQUEST, most_steps=6)).item()
        for each in (plain, telling)
    ]
    assert losses[0] == pytest.approx(losses[1])


def test_training_against_an_attacker_makes_the_class_slower_to_learn() -> None:
    network = Network()
    resistance = make_resistance(network)
    optimizer = torch.optim.Adam(network.body.parameters(), 0.01)

    def attack() -> float:
        return float(np.mean([measure(resistance, seed).item() for seed in range(1000, 1010)]))

    before = attack()
    for seed in range(60):
        optimizer.zero_grad()
        measure(resistance, seed).backward()
        optimizer.step()
    assert attack() < 0.7 * before


def test_an_attacker_of_one_step_is_as_his_formulas_say() -> None:
    """Adam's first step moves each number by its rate, whatever the gradient; then the class wins
    or loses by a margin of 1, and the network's numbers get the gradient at the attacker's.
    """
    network = Network()
    rows = read_rows(network)
    known, fresh = draw(16, 0), pick(draw(8, 100), 8)
    attacker = copy.deepcopy(network).requires_grad_()
    weight = torch.zeros(1, 6, requires_grad=True)
    bias = torch.full((1,), float(rows.bias[[0, 2]].mean()), requires_grad=True)

    def answer(inputs: Tensor) -> Tensor:
        scores, features = attacker(inputs)
        own = features @ weight.T + bias
        return torch.cat([scores[:, :1], own, scores[:, 2:]], 1)

    loss = torch.nn.functional.cross_entropy(answer(known.inputs), known.answers)
    own = [*attacker.parameters(), weight, bias]
    whole = [*own[:-2], *map(torch.from_numpy, rows)]
    gradients = torch.autograd.grad(loss, own)
    with torch.no_grad():
        for number, gradient, measured in zip(own, gradients, whole, strict=True):
            number.sub_(5e-3 * measured.square().mean().sqrt() * gradient.sign())
    scores = answer(fresh.inputs)
    margins = scores[:, 1] - scores[:, [0, 2]].amax(1)
    expected = torch.nn.functional.softplus(margins + 1).mean()
    found = make_resistance(network, 1).measure(known, fresh, torch.Generator().manual_seed(0))
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)
    found.backward()
    slopes = torch.autograd.grad(expected, list(attacker.body.parameters()))
    for parameter, slope in zip(network.body.parameters(), slopes, strict=True):
        torch.testing.assert_close(parameter.grad, slope, rtol=1e-3, atol=1e-6)


def test_the_number_of_steps_is_drawn_up_to_the_most() -> None:
    """By the generator: so many times the attacker looks at what he knows."""
    network = Network()
    resistance = make_resistance(network, 3)
    seen: list[int] = []
    resistance._attacker.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    counts = set()
    for seed in range(20):
        seen.clear()
        measure(resistance, seed)
        assert seen[-1] == 8
        counts.add(seen.count(32))
    assert counts == {1, 2, 3}


def test_whole_numbers_move_by_their_spread_about_a_mean() -> None:
    """Weights that count from a zero point would otherwise leap."""
    network = Network()
    network.body.weight.data += 1
    weight = network.body.weight.detach()
    sizes = weight.square().mean().sqrt().item(), weight.std(correction=0).item()
    for quantized, size in zip(((), (network.body.weight,)), sizes, strict=True):
        resistance = Resistance(
            network, read_rows(network), REQUEST, most_steps=1, quantized=quantized
        )
        measure(resistance)
        moved = resistance._attacker.module.body.weight - weight
        assert moved.abs().max().item() == pytest.approx(5e-3 * size, rel=0.02)
