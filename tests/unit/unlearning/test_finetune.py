"""Training on a network of a few weights: what moves, how far, and when it ends."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nhle_onnx.graph.head.head import HeadRows
from nhle_onnx.lowering.module import LoweredModel
from nhle_onnx.training.budget import (
    FIRST_RATE,
    FORGOTTEN,
    LARGEST_RATE,
    TOO_LITTLE_FORGOTTEN,
)
from nhle_onnx.training.effort import ENDURANCE
from nhle_onnx.training.loop import TrainingStep
from nhle_onnx.unlearning.finetune import TuningData, add_made, count_missing, finetune
from nhle_onnx.unlearning.pursuit import Finetuned, spread_within_steps
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.request import ForgetRequest
from support.inputs import make_input

REQUEST = ForgetRequest(forget=(1,), num_classes=3)
NAMES = ("body.weight", "head.weight")


class Network(nn.Module):
    """Scores and features of images [N, 1, 4, 4], as a lowered model gives them; or NHWC."""

    def __init__(self, *, last: bool = False) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.last = last
        self.body, self.head = nn.Linear(16, 6), nn.Linear(6, 3)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        assert images.shape[1:] == ((4, 4, 1) if self.last else (1, 4, 4))
        features = torch.tanh(self.body(images.flatten(1)))
        return self.head(features), features


def make_samples(*, anchors: int = 24, synthesizes: bool = False) -> TuningData:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(32, 1, 4, 4)).astype(np.float32)
    return TuningData(
        forget=images[:8],
        classes=np.ones(8, np.int64),
        anchors=images[8 : 8 + anchors],
        synthesizes=synthesizes,
    )


def run(
    network: Network | None = None,
    samples: TuningData | None = None,
    names: Sequence[str] = NAMES,
    quantized: frozenset[str] = frozenset(),
    layout: str = "NCHW",
    on_step: Callable[[TrainingStep], None] = lambda _: None,
    **options: object,
) -> Finetuned:
    network = network or Network()
    lowered = LoweredModel(
        module=network, parameter_of=dict(network.named_parameters()), quantized=quantized
    )
    return finetune(
        lowered,
        names,
        samples or make_samples(),
        REQUEST,
        UnlearnOptions(**options),
        make_input(1, 4, 4, layout),
        device=torch.device("cpu"),
        on_step=on_step,
    )


def test_only_the_named_tensors_move() -> None:
    before = {name: each.detach().clone() for name, each in Network().named_parameters()}
    network = Network()
    result = run(network, steps=3)
    assert tuple(result.tensors) == NAMES
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter, before[name]) == (name not in NAMES)
        assert parameter.requires_grad == (name in NAMES)
    for name in NAMES:
        np.testing.assert_array_equal(result.tensors[name], network.get_parameter(name).detach())
        assert result.tensors[name].flags.c_contiguous


@pytest.mark.parametrize(
    "samples",
    [make_samples(), make_samples(anchors=0), make_samples(anchors=0, synthesizes=True)],
    ids=["anchors", "none", "made"],
)
def test_forget_samples_are_forgotten_and_others_kept(samples: TuningData) -> None:
    network, original = Network(), Network()
    result = run(network, samples, steps=60, lr=0.02)
    assert len(result.trajectory.points) == 60
    assert [each.step for each in result.trajectory.points] == list(range(1, 61))
    points = result.trajectory.points
    first, last = (
        sum(each.forget_loss for each in some) / 20 for some in (points[:20], points[-20:])
    )
    assert last < 0.95 * first
    assert (points[-1].retain_loss > 0) == (points[-1].alignment_loss > 0)
    assert (points[-1].retain_loss > 0) == (len(samples.anchors) > 0 or samples.synthesizes)
    if len(samples.anchors):
        images = torch.from_numpy(samples.anchors)
        with torch.no_grad():
            change = network(images)[0][:, [0, 2]] - original(images)[0][:, [0, 2]]
            spread = original(images)[0].std()
        assert change.square().mean().sqrt() < spread


def test_the_seed_decides() -> None:
    one, again, other = (run(steps=4, seed=seed).tensors for seed in (7, 7, 8))
    assert all(np.array_equal(one[name], again[name]) for name in NAMES)
    assert not any(np.array_equal(one[name], other[name]) for name in NAMES)


def test_layout_is_a_matter_of_the_network() -> None:
    samples = make_samples()
    last = replace(
        samples, forget=samples.forget.transpose(0, 2, 3, 1),
        anchors=samples.anchors.transpose(0, 2, 3, 1),
    )  # fmt: skip
    first, second = run(steps=2), run(Network(last=True), last, layout="NHWC", steps=2)
    for name in NAMES:
        np.testing.assert_allclose(first.tensors[name], second.tensors[name], rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "Adam, up to 0.01 of each tensor's magnitude a step"),
        ({"loss": "paper-gradient"}, "Adam, up to 0.01 of each tensor's magnitude a step"),
        ({"lr": 0.25}, "Adam, rate 0.25"),
        ({"lr": 0.25, "loss": "paper-gradient"}, "SGD, rate 0.25"),
        ({"lr": 0.125, "loss": "paper-cross-entropy"}, "SGD, rate 0.125"),
    ],
)
def test_first_step_of_each_optimizer(options: dict[str, object], name: str) -> None:
    """Adam moves each weight by its rate at first; SGD in proportion to the gradient."""
    before = Network()
    result = run(steps=1, **options)
    assert result.optimizer == name
    moves = {
        key: np.abs(result.tensors[key] - before.get_parameter(key).detach().numpy())
        for key in NAMES
    }
    for key, move in moves.items():
        rms = before.get_parameter(key).detach().square().mean().sqrt().item()
        rate = options.get("lr", FIRST_RATE * rms)
        if name.startswith("Adam"):
            np.testing.assert_allclose(move, rate, rtol=1e-2)
        else:
            assert move.std() > 0.2 * move.mean()
            twice = run(steps=1, **options | {"lr": 2 * rate}).tensors[key]
            again = np.abs(twice - before.get_parameter(key).detach().numpy())
            np.testing.assert_allclose(again, 2 * move, rtol=1e-3, atol=1e-6)


def test_each_loss_has_its_own_price() -> None:
    prices = [
        run(steps=1, loss=loss).trajectory.points[0].forget_loss
        for loss in ("saturating", "paper-gradient", "paper-cross-entropy")
    ]
    assert len(set(prices)) == 3


def test_whole_numbers_move_by_their_magnitude_about_their_mean() -> None:
    network = Network()
    network.body.weight.data += 3
    begun = nn.Parameter(network.body.weight.detach().clone())
    spread_within_steps([begun], UnlearnOptions().seed)
    weight = begun.detach()
    result = run(network, quantized=frozenset(["body.weight"]), steps=1)
    moved = np.abs(result.tensors["body.weight"] - weight.numpy())
    assert moved.max() == pytest.approx(5e-3 * weight.std(correction=0).item(), rel=0.05)


def test_it_ends_when_all_is_settled_and_else_when_it_was_told() -> None:
    settled = run()
    count = len(settled.trajectory.points)
    assert settled.stop_reason == FORGOTTEN
    assert ENDURANCE["standard"].settling <= count < ENDURANCE["standard"].steps
    assert settled.trajectory.points[-1].step_size < LARGEST_RATE
    told = run(steps=count + 5)
    assert told.stop_reason == "steps given"
    assert len(told.trajectory.points) == count + 5


@pytest.mark.parametrize(
    ("answers", "anchors", "missing"),
    [
        ([0, 2, 3, 4, 5] * 40, 200, 0),
        ([0, 2, 3, 4, 5], 5, 0),
        ([0, 2] * 100, 200, 100),
        ([0] * 120 + [2] * 80, 200, 100),
        ([0] * 116 + [2] * 76 + [3, 3, 4, 4, 5, 5], 198, 99),
        ([1] * 90, 90, 45),
        ([0, 2, 3], 3, 77),
        ([0] * 60, 60, 30),
    ],
    ids=["all", "one of each", "two", "uneven", "stray", "forgotten", "few", "few of one"],
)
def test_anchors_are_made_where_too_few_classes_are_shown(
    answers: list[int], anchors: int, missing: int
) -> None:
    """By what the network takes them for, of classes 0 and 2 to 5; a stray one shows no class."""
    request = ForgetRequest(forget=(1,), num_classes=6)
    assert count_missing(answers, anchors, request) == missing


@pytest.mark.parametrize(
    ("classes", "count"), [(1, 16), (2, 32), (9, 144), (9, 32), (99, 144), (25, 144), (999, 144)]
)
def test_anchors_of_all_classes_alike_are_enough(classes: int, count: int) -> None:
    answers = np.random.default_rng(0).integers(0, classes, count).tolist()
    request = ForgetRequest(forget=(classes,), num_classes=classes + 1)
    assert count_missing(answers, count, request) == 0


@pytest.mark.parametrize(
    ("classes", "answers"), [(2, [0] * 16), (3, [0] * 16), (4, [0, 1] * 16), (4, [0, 1, 3] * 16)]
)
def test_none_are_made_where_few_classes_are_known_at_all(classes: int, answers: list[int]) -> None:
    """They would hold the class where it is: a network of scikit-learn's kept 0.47 of it."""
    assert (
        count_missing(
            answers, len(answers), ForgetRequest(forget=(classes - 1,), num_classes=classes)
        )
        == 0
    )


def test_of_features_no_pictures_are_made() -> None:
    """A shuffled or half hidden row would be the row, which is to be forgotten."""
    samples = make_samples()
    network = Network()
    with torch.no_grad():
        answers = network(torch.from_numpy(samples.anchors))[0].argmax(1).numpy()
    rows = replace(samples, anchors=samples.anchors[answers == 1])
    target = replace(make_input(), layout=None, features=(1, 4, 4))
    lowered = LoweredModel(
        module=network, parameter_of=dict(network.named_parameters()), quantized=frozenset()
    )
    found = finetune(
        lowered, NAMES, rows, REQUEST, UnlearnOptions(steps=1), target,
        device=torch.device("cpu"), on_step=lambda _: None,
    )  # fmt: skip
    assert found.made_anchors == 0


@pytest.mark.parametrize("shown", [(0, 2), (1,)])
def test_classes_that_no_anchor_shows_are_kept_on_made_ones(shown: tuple[int, ...]) -> None:
    """The network takes all anchors for the class to forget; 80 are enough."""
    samples = make_samples()
    network = Network()
    with torch.no_grad():
        answers = network(torch.from_numpy(samples.anchors))[0].argmax(1).numpy()
    kept = replace(samples, anchors=samples.anchors[np.isin(answers, shown)])
    made = run(network, kept, steps=1).made_anchors
    assert made == (0 if shown == (0, 2) else 80 - len(kept.anchors))


@pytest.mark.parametrize("given", [2, 8])
def test_made_anchors_are_of_the_kind_that_the_network_meets(given: int) -> None:
    """Of the forget samples, however few: anchors may be other pictures altogether."""
    samples = make_samples()
    anchors, forget = torch.from_numpy(samples.anchors + 100), torch.from_numpy(samples.forget)
    found = add_made(anchors, forget[:given], 12, torch.Generator().manual_seed(0))
    assert torch.equal(found[: len(anchors)], anchors)
    made = found[len(anchors) :]
    assert len(made) == 12
    assert made.abs().max() < 50


def test_it_gives_up_where_nothing_is_forgotten() -> None:
    never = run(lr=1e-7)
    assert never.stop_reason.startswith(TOO_LITTLE_FORGOTTEN)
    assert never.stop_reason.endswith('or effort="thorough", which goes on for longer')
    assert len(never.trajectory.points) < ENDURANCE["standard"].steps


@pytest.mark.parametrize(("effort", "most"), [("fast", 64), ("standard", 256), ("thorough", 256)])
def test_the_effort_says_how_many_images_a_step_sees(effort: str, most: int) -> None:
    samples = make_samples()
    sizes = set()
    network = Network()
    network.register_forward_pre_hook(lambda _, given: sizes.add(len(given[0])))
    many = replace(samples, anchors=np.tile(samples.anchors, (20, 1, 1, 1)))
    run(network, many, steps=2, effort=effort)
    assert 8 + most in sizes


@pytest.mark.parametrize("steps", [1, 2, 30])
def test_rounded_weights_become_an_average_of_the_last_steps(steps: int) -> None:
    """Each step counts 0.8 of the one after it; the weights before training count nothing."""
    network = Network()
    passed = []
    result = run(
        network,
        quantized=frozenset(["body.weight"]),
        steps=steps,
        on_step=lambda _: passed.append(network.body.weight.detach().numpy().copy()),
    )
    shares = 0.8 ** np.arange(steps)[::-1]
    expected = np.tensordot(shares / shares.sum(), np.stack(passed), axes=1)
    np.testing.assert_allclose(result.tensors["body.weight"], expected, rtol=1e-5)
    np.testing.assert_array_equal(network.body.weight.detach(), result.tensors["body.weight"])


def test_networks_that_know_left_from_right_see_no_mirrored_image() -> None:
    network = Network()
    assert not run(network, steps=1).probe.mirrors
    symmetric = Network()
    weight = symmetric.body.weight.data.reshape(6, 4, 4)
    symmetric.body.weight.data = (weight + weight.flip(2)).reshape(6, 16)
    assert run(symmetric, steps=1).probe.mirrors


def test_scale_is_the_spread_of_the_scores_about_their_mean() -> None:
    """A lead of the first step, in units of it, is that of the network as given."""
    scaled = Network()
    scaled.head.weight.data *= 64
    scaled.head.bias.data *= 64
    one, other = (run(each, steps=1).trajectory.points[0] for each in (Network(), scaled))
    assert one.forget_margin == pytest.approx(other.forget_margin, rel=1e-4)
    assert one.forget_loss == pytest.approx(other.forget_loss, rel=1e-4)
    shifted = Network()
    shifted.head.bias.data += 1000.0
    moved = run(shifted, steps=1).trajectory.points[0]
    assert moved.forget_margin == pytest.approx(one.forget_margin, rel=1e-2)


def test_a_network_that_gives_all_the_same_score_has_a_scale_as_well() -> None:
    network = Network()
    network.head.weight.data.zero_()
    network.head.bias.data.zero_()
    lead = run(network, steps=1).trajectory.points[0].forget_margin
    assert lead == pytest.approx(0, abs=1e-3)


def test_whole_numbers_begin_within_their_steps_and_not_all_in_the_middle() -> None:
    stored = torch.arange(-8.0, 8.0).repeat(64)
    first, again, other = (nn.Parameter(stored.clone()) for _ in range(3))
    for parameter, seed in ((first, 0), (again, 0), (other, 1)):
        spread_within_steps([parameter], seed)
    assert torch.equal(first.round(), stored)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    left = (first.detach() + 0.5).floor() + 0.5 - first.detach()  # to the next number
    assert left.min() < 0.02
    assert left.max() > 0.98


@pytest.mark.parametrize("quantized", [frozenset[str](), frozenset(["body.weight"])])
def test_with_the_heads_rows_it_resists_an_attacker_whatever_its_numbers(
    quantized: frozenset[str],
) -> None:
    network = Network()
    rows = HeadRows(*(each.detach().double().numpy() for each in network.head.parameters()))
    samples = replace(make_samples(), rows=rows)
    plain, resisting = (
        run(samples=each, quantized=quantized, steps=2, effort="thorough")
        for each in (replace(samples, rows=None), samples)
    )
    assert (plain.resists, resisting.resists) == (False, True)
    first, second = (each.trajectory.points[0].alignment_loss for each in (plain, resisting))
    assert second > first
    assert not np.array_equal(*(each.tensors["body.weight"] for each in (plain, resisting)))


def test_without_anchors_there_is_no_attacker_to_resist() -> None:
    rows = HeadRows(np.zeros((3, 6)), np.zeros(3))
    alone = replace(make_samples(anchors=0), rows=rows)
    assert not run(samples=alone, steps=1, effort="thorough").resists
