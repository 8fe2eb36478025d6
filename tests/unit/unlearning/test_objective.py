"""Samples are forgotten together with what lies about them."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from nhle_onnx.training.augmentation import synthesize_anchors
from nhle_onnx.unlearning import objective as objective_module
from nhle_onnx.unlearning.feature_alignment import measure_spread, separation_loss
from nhle_onnx.unlearning.network import to_inputs
from nhle_onnx.unlearning.nhle import (
    anchor_loss,
    encode_negative_hot,
    measure_forget_margin,
    retained_divergence,
)
from nhle_onnx.unlearning.objective import (
    ADVERSARIAL_AUGMENTATION,
    TURNS,
    ForgetObjective,
    draw_partners,
)
from nhle_onnx.unlearning.resistance import Labelled, label
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
        max_shift=1,
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
    hardened = objective.augment(images, labels)
    distance = (hardened - images).square().mean((1, 2, 3)).sqrt()
    assert (distance <= ADVERSARIAL_AUGMENTATION * images.std() + 1e-6).all()
    with torch.no_grad():
        before, after = (
            measure_forget_margin(module(each)[0], labels) for each in (images, hardened)
        )
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
    assert torch.equal(objective.augment(images, labels), images)


class Uniform(nn.Module):
    """Features of an image's mean pixel alone: shifted and mirrored views give the same."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.mix = nn.Linear(1, 5)
        self.head = nn.Linear(5, 3)
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = torch.tanh(self.mix(images.mean((1, 2, 3))[:, None]))
        return self.head(features), features


def make_plain(values: list[float]) -> torch.Tensor:
    """Images [N, 1, 4, 4] of one brightness each."""
    return torch.tensor(values)[:, None, None, None].expand(-1, 1, 4, 4).clone()


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> ForgetObjective:
    """Of two networks, three samples and four anchors that are all alike; nothing is hardened
    or mixed.
    """
    monkeypatch.setattr(ForgetObjective, "augment", lambda _self, images, _labels: images)
    monkeypatch.setattr(objective_module, "mix", lambda images, _others, _generator: images)
    return replace(
        make_objective(Uniform(0), make_plain([0.3, -0.4, 1.0])),
        original=Uniform(1), anchors=make_plain([0.7] * 4), scale=2.5,
    )  # fmt: skip


def measure(objective: ForgetObjective) -> dict[str, float]:
    """What the step should cost, from the losses' own formulas."""
    request, images = objective.request, torch.cat([objective.forget, objective.anchors])
    count = len(objective.forget)
    with torch.no_grad():
        (now, features), (was, first) = (
            each(images) for each in (objective.module, objective.original)
        )
    labels = encode_negative_hot(objective.forget_classes, request)
    leads = measure_forget_margin(now[:count], labels) / objective.scale
    wins = (now[:count, 1] - now[:count, [0, 2]].amax(1)) / objective.scale
    found = count + (was[count:].argmax(1) == 1).nonzero()[:, 0]
    found_labels = encode_negative_hot(torch.ones(len(found), dtype=torch.int64), request)
    found_leads = measure_forget_margin(now[found], found_labels) / objective.scale
    scaled = features / measure_spread(first)
    drift = float(anchor_loss(now[count:], was[count:], request, scale=2.5))
    kept = float(retained_divergence(now[:count], was[:count], request))
    examples = (first / measure_spread(first))[-1]
    separation = separation_loss(scaled[:count], objective.forget_classes, scaled[count:])
    return {
        "forget": float(functional.softplus(torch.cat([leads, found_leads]) + 1).sum() / count),
        "drift": drift,
        "retain": drift + 0.25 * kept,
        "alignment": 0.3 * float(separation) + float((scaled[:count] - examples).square().mean()),
        "forget_margin": float(leads.max()),
        "win_margin": float(wins.max()),
    }


def test_a_step_costs_what_the_formulas_say(plain: ForgetObjective) -> None:
    losses, expected = plain(), measure(plain)
    for name, value in expected.items():
        assert float(getattr(losses, name)) == pytest.approx(value, rel=1e-5), name


def test_what_the_original_takes_for_the_class_is_forgotten_too(plain: ForgetObjective) -> None:
    """Each of the four anchors, or none of them."""
    for favours in (1, 2):
        original = Uniform(1)
        original.head.bias.data[favours] += 100
        objective = replace(plain, original=original)
        losses, expected = objective(), measure(objective)
        assert losses.forget.item() == pytest.approx(expected["forget"], rel=1e-5)
        alone = measure(replace(plain, anchors=plain.anchors[:0], original=original))["forget"]
        assert (losses.forget.item() > alone + 1e-4) == (favours == 1)


def test_without_anchors_forgetting_is_all(plain: ForgetObjective) -> None:
    alone = replace(plain, anchors=plain.anchors[:0])
    losses = alone()
    assert losses.drift == losses.retain.item() == losses.alignment.item() == 0
    assert losses.forget.item() == pytest.approx(measure(alone)["forget"], rel=1e-5)


def test_the_original_costs_nothing_to_keep(plain: ForgetObjective) -> None:
    same = replace(plain, original=plain.module)
    assert same().drift == same().retain.item() == 0
    assert same().alignment.item() > 0


def test_made_anchors_are_measured_as_given_ones_are(plain: ForgetObjective) -> None:
    """But no made anchor is an example to imitate."""
    made = replace(plain, anchors=plain.anchors[:0], synthesizes=True)
    again = replace(made, generator=torch.Generator().manual_seed(0))
    again._draw_forget()
    anchors = synthesize_anchors(again.forget, again.generator)
    expected = measure(replace(plain, anchors=anchors))
    losses = replace(made, generator=torch.Generator().manual_seed(0))()
    assert losses.drift > 0
    kept = losses.retain.item() - losses.drift
    assert kept == pytest.approx(expected["retain"] - expected["drift"], rel=1e-3)
    assert losses.alignment.item() < expected["alignment"]


def test_a_batch_is_no_larger_than_asked(plain: ForgetObjective) -> None:
    seen: list[int] = []
    plain.original.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    replace(plain, batch_size=2)()
    replace(plain, batch_size=4)()
    replace(plain, anchors=plain.anchors[:0], synthesizes=True, batch_size=6)()
    assert seen == [2, 2, 4, 3, 6, 3]


def test_the_original_is_asked_once_about_each_view_of_an_anchor(plain: ForgetObjective) -> None:
    """Views come again, and are as many as were promised."""
    asked: list[torch.Tensor] = []
    images = torch.arange(16.0).expand(8, 1, 16, 16).contiguous()
    objective = replace(plain, forget=images[:3], anchors=images, max_shift=3)
    objective.original.register_forward_pre_hook(lambda _, inputs: asked.append(inputs[0]))
    for _ in range(12 * TURNS):
        objective()
    about_anchors = [views for views in asked if len(views) == 8]
    assert len(about_anchors) == TURNS
    assert len({views.numpy().tobytes() for views in about_anchors}) == TURNS


def test_without_anchors_the_original_is_asked_about_samples_alone(plain: ForgetObjective) -> None:
    asked: list[int] = []
    plain.original.register_forward_pre_hook(lambda _, inputs: asked.append(len(inputs[0])))
    replace(plain, anchors=plain.anchors[:0])()
    assert asked == [3]


def test_drawn_samples_keep_their_classes() -> None:
    """Two forgotten classes of very different brightness, drawn in any order."""
    network = Uniform(0)
    network.head.weight.data, network.head.bias.data = torch.zeros(3, 5), torch.tensor([9.0, 1, 0])
    objective = replace(
        make_objective(network, make_plain([0.0] * 10)),
        request=ForgetRequest(forget=(0, 1), num_classes=3),
        forget_classes=torch.tensor([0] * 9 + [1]), batch_size=1,
    )  # fmt: skip
    leads = [objective().forget_margin for _ in range(40)]
    assert set(leads) == {9.0, 1.0}
    assert leads.count(9.0) > leads.count(1.0)


@pytest.mark.parametrize("which", ["module", "original"])
def test_a_network_that_computes_no_numbers_is_named(plain: ForgetObjective, which: str) -> None:
    broken = Uniform(0)
    broken.head.bias.data[1] = torch.inf
    name = {"module": "the model in training", "original": "the model as given"}[which]
    with pytest.raises(FloatingPointError, match=f"{name} gives logits"):
        replace(plain, **{which: broken})()


@pytest.mark.parametrize("counts", [(1,), (2, 1), (5, 3, 7)])
def test_partners_are_others_of_the_same_class(counts: tuple[int, ...]) -> None:
    classes = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    classes = classes[torch.randperm(len(classes), generator=torch.Generator().manual_seed(0))]
    partners = draw_partners(classes, torch.Generator().manual_seed(1))
    assert torch.equal(classes[partners], classes)
    assert sorted(partners.tolist()) == list(range(len(classes)))
    alone = partners == torch.arange(len(classes))
    assert [int((classes == index).sum()) for index in classes[alone]] == [1] * int(alone.sum())


def test_inputs_are_laid_out_as_the_network_takes_them() -> None:
    images = torch.randn(2, 3, 4, 5)
    assert torch.equal(to_inputs(images, "NCHW", torch.device("cpu")), images)
    last = to_inputs(images, "NHWC", torch.device("cpu"))
    assert torch.equal(last, images.permute(0, 2, 3, 1))
    assert last.is_contiguous()


def test_views_move_as_far_as_they_may(plain: ForgetObjective) -> None:
    """A bright column in the middle of wide images is found up to so far from there."""
    seen: list[torch.Tensor] = []
    plain.original.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.zeros(8, 1, 31, 61)
    images[..., 30] = 1.0
    objective = replace(
        plain,
        forget=images,
        forget_classes=torch.ones(8, dtype=torch.int64),
        mirrors=True,
        max_shift=3,
    )
    for _ in range(20):
        replace(objective, anchors=images)()
    columns = torch.cat(seen)[:, 0, 0].argmax(1) - 30
    assert (int(columns.min()), int(columns.max())) == (-3, 3)


@pytest.mark.parametrize("mirrors", [True, False])
def test_views_are_mirrored_only_where_that_is_the_same_class(
    plain: ForgetObjective,
    mirrors: bool,  # noqa: FBT001
) -> None:
    seen: list[torch.Tensor] = []
    plain.original.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.linspace(0, 1, 16).expand(8, 1, 16, 16)
    objective = replace(
        plain, forget=images, forget_classes=torch.ones(8, dtype=torch.int64), anchors=images,
        mirrors=mirrors,
    )  # fmt: skip
    objective()
    rises = seen[0][:, 0, 0, -1] > seen[0][:, 0, 0, 0]
    assert rises.any()
    assert rises.all() != mirrors


def test_the_loss_that_was_asked_for_is_the_one(plain: ForgetObjective) -> None:
    labels = encode_negative_hot(plain.forget_classes, plain.request)
    with torch.no_grad():
        expected = measure_forget_margin(plain.module(plain.forget)[0], labels).mean().item()
    losses = replace(plain, loss="paper-cross-entropy")()
    assert losses.forget.item() == pytest.approx(expected, rel=1e-5)


def test_the_generator_decides_all(plain: ForgetObjective) -> None:
    for changes in ({"batch_size": 2}, {"synthesizes": True, "anchors": plain.anchors[:0]}):
        images = make_plain([0.1 * place for place in range(9)])
        many = replace(
            plain, forget=images, forget_classes=torch.ones(9, dtype=torch.int64),
            anchors=images + 1,
        )  # fmt: skip
        one, other = (
            replace(many, **changes, generator=torch.Generator().manual_seed(5)) for _ in range(2)
        )
        assert [one().forget_margin for _ in range(8)] == [other().forget_margin for _ in range(8)]
        assert one().drift == other().drift


def test_each_sample_is_hardened_by_its_own_measure() -> None:
    """However strong its gradient, by the share that the generator draws."""
    torch.manual_seed(0)
    module = Network(nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh()), nn.Linear(16, 3))
    images = torch.randn(12, 1, 8, 8) * torch.linspace(0.1, 9, 12)[:, None, None, None]
    objective = make_objective(module, images)
    labels = encode_negative_hot(objective.forget_classes, objective.request)
    moved = (objective.augment(images, labels) - images).square().mean((1, 2, 3)).sqrt()
    reach, share = torch.rand(2, 12, 1, 1, 1, generator=torch.Generator().manual_seed(0)).flatten(1)
    expected = ADVERSARIAL_AUGMENTATION * reach * (share < 0.5) * images.std()
    torch.testing.assert_close(moved, expected, rtol=1e-3, atol=1e-4)


def test_hardening_lays_images_out_as_the_network_takes_them() -> None:
    module = Network(nn.Sequential(nn.Flatten(), nn.Linear(60, 4)), nn.Linear(4, 3))
    shapes: list[tuple[int, ...]] = []
    module.register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape)))
    images = torch.randn(2, 3, 4, 5)
    objective = replace(make_objective(module, images), layout="NHWC")
    labels = encode_negative_hot(objective.forget_classes, objective.request)
    assert objective.augment(images, labels).shape == images.shape
    assert shapes == [(2, 4, 5, 3)]


class Recorder:
    """In an attacker's place: always measures 0.5, and keeps what it was given."""

    def __init__(self) -> None:
        self.given: list[tuple[Labelled, Labelled, torch.Generator]] = []

    def measure(self, known: Labelled, fresh: Labelled, generator: torch.Generator) -> torch.Tensor:
        self.given.append((known, fresh, generator))
        return torch.tensor(0.5)


def test_what_an_attacker_would_learn_counts_with_the_alignment(plain: ForgetObjective) -> None:
    recorder = Recorder()
    plain.forget_classes[1] = 2
    objective = replace(plain, request=ForgetRequest(forget=(1, 2), num_classes=3))
    expected = measure_alignment(objective)
    resisting = replace(
        objective, resistance=recorder, layout="NHWC", module=Last(objective.module),
        original=Last(objective.original), generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert resisting().alignment.item() == pytest.approx(expected + 6 * 0.5, rel=1e-4)
    ((known, fresh, generator),) = recorder.given
    images = torch.cat([plain.forget, plain.anchors]).permute(0, 2, 3, 1)
    assert torch.equal(known.inputs, images)
    with torch.no_grad():
        logits = objective.original(images.permute(0, 3, 1, 2))[0]
    assert torch.equal(known.answers, label(logits, plain.forget_classes, objective.request))
    assert torch.equal(fresh.inputs, images[:3])
    assert fresh.answers.tolist() == [[0, 1, 0], [0, 0, 1], [0, 1, 0]]
    assert generator is resisting.generator


def measure_alignment(objective: ForgetObjective) -> float:
    return replace(objective, generator=torch.Generator().manual_seed(0))().alignment.item()


class Last(nn.Module):
    """The same network for images whose channels come last."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        assert images.shape[3] == 1
        found: tuple[torch.Tensor, torch.Tensor] = self.module(images.permute(0, 3, 1, 2))
        return found
