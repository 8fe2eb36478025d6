"""The peers of the tool: do they compute what their papers say, with the data that they claim?"""

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.optimizer import register_optimizer_step_post_hook

from architectures import MLP, LeNet5
from architectures.layers import conv_bn
from studies import evaluation
from studies.baselines import (
    boundary,
    dampening,
    distillation,
    free_energy,
    gated_transfer,
    lipschitz,
    negative_hot,
    noise,
    projection,
    relabelling,
    reweighting,
    scattering,
    subspace,
)
from studies.baselines.bias_shift import bias_shift
from studies.baselines.shared import (
    STEP_LIMIT,
    diverge,
    drop_forgotten,
    label_anchors,
    predict,
    reset_network,
)
from studies.baselines.table import CANDIDATES, METHODS, Group, Method, restrict
from studies.baselines.tuning import score_network, tune
from studies.baselines.weight_filtering import weight_filtering
from studies.evaluation import Accuracies, extract_features, measure_accuracies
from studies.tasks import Task
from support.shipped import EVALUATION

pytestmark = pytest.mark.usefixtures("one_thread")

FORGOTTEN = 3
KEPT = [index for index in range(10) if index != FORGOTTEN]
PER_CLASS = 16
Data = tuple[evaluation.TestData, evaluation.TestData]


@pytest.fixture(scope="module")
def data() -> Data:
    """1,000 images to train on, and 1,000 others to judge by."""
    with np.load(EVALUATION) as arrays:
        inputs = (torch.from_numpy(arrays["x"])[:, None].float() / 255 - 0.286) / 0.353
        labels = torch.from_numpy(arrays["y"]).long()
    return evaluation.TestData(inputs[::2], labels[::2]), evaluation.TestData(
        inputs[1::2], labels[1::2]
    )


def make_task(network: nn.Module, train: evaluation.TestData) -> Task:
    """Everything that a group may have; drawn from the training images."""
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(60):
        batch = torch.randint(len(train.inputs), (128,))
        loss = functional.cross_entropy(network(train.inputs[batch]), train.labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    chosen = {
        index: train.inputs[train.labels == index][:PER_CLASS] for index in (FORGOTTEN, *KEPT)
    }
    retained = torch.cat([chosen[index] for index in KEPT])
    return Task(
        network=network.eval(),
        num_classes=10,
        forgotten=(FORGOTTEN,),
        forget=chosen[FORGOTTEN],
        forget_labels=torch.full((PER_CLASS,), FORGOTTEN),
        anchors=retained,
        retained=retained,
        retained_labels=torch.tensor(KEPT).repeat_interleave(PER_CLASS),
        seed=0,
    )


@pytest.fixture(scope="module")
def task(data: Data) -> Task:
    """A small MLP on which a step takes a millisecond."""
    torch.manual_seed(0)
    return make_task(MLP(hidden_features=(48, 24)), data[0])


@pytest.fixture(scope="module")
def lenet_task(data: Data) -> Task:
    torch.manual_seed(0)
    return make_task(LeNet5(), data[0])


def measure(network: nn.Module, task: Task, data: Data) -> Accuracies:
    return measure_accuracies(network, task.network, data[1], task.forgotten)


def get_loss(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    return functional.cross_entropy(predict(network, inputs), labels).item()


def make_case_id(method: Method) -> str:
    return f"{method.name}, {method.group}"


@pytest.mark.parametrize("method", METHODS, ids=make_case_id)
def test_method_works_with_its_group_s_data_alone(
    task: Task, method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gated_transfer, "STEP_LIMIT", 33)  # each of its steps makes images
    before = copy.deepcopy(task.network.state_dict())
    steps = []
    hook = register_optimizer_step_post_hook(lambda *_: steps.append(1))
    try:
        edited = method.unlearn(restrict(task, method.group), **method.settings[-1])
    finally:
        hook.remove()
    assert len(steps) <= STEP_LIMIT
    assert all(
        torch.equal(value, before[name]) for name, value in task.network.state_dict().items()
    )
    assert not edited.training
    assert edited.state_dict().keys() == before.keys()
    assert predict(edited, task.forget).shape == (PER_CLASS, 10)
    addresses = {value.data_ptr() for value in task.network.state_dict().values()}
    assert not addresses & {value.data_ptr() for value in edited.state_dict().values()}


class NormalisedNetwork(nn.Module):
    """Normalised convolutions, one of them grouped, as the larger networks have them."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv_bn(1, 8, 3, stride=4, activation=nn.ReLU),
            conv_bn(8, 8, 3, groups=8, activation=nn.ReLU),
            conv_bn(8, 12, activation=nn.ReLU),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(48, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images))


@pytest.mark.parametrize("method", METHODS, ids=make_case_id)
def test_method_keeps_the_statistics_of_batch_normalisation(
    task: Task, method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gated_transfer, "STEP_LIMIT", 22)
    torch.manual_seed(0)
    normalised = replace(task, network=NormalisedNetwork().eval())
    setting = dict(method.settings[0]) | ({"steps": 5} if "steps" in method.settings[0] else {})
    edited = method.unlearn(restrict(normalised, method.group), **setting)
    assert predict(edited, task.forget).isfinite().all()
    if method.name != "GKT":  # its student learns statistics of its own
        before = dict(normalised.network.named_buffers())
        assert all(torch.equal(value, before[name]) for name, value in edited.named_buffers())


def test_restricted_tasks_hold_no_more_than_their_group() -> None:
    empty = torch.zeros(2, 1)
    task = Task(
        network=nn.Identity(),
        num_classes=2,
        forgotten=(0,),
        forget=empty,
        forget_labels=torch.zeros(2),
        anchors=empty,
        retained=empty,
        retained_labels=torch.zeros(2),
        seed=0,
    )
    counts = {
        group: [
            len(restrict(task, group).anchors),
            len(restrict(task, group).retained),
            len(restrict(task, group).retained_labels),
        ]
        for group in Group
    }
    assert counts == {
        Group.FORGET: [0, 0, 0],
        Group.ANCHORS: [2, 0, 0],
        Group.RETAINED: [2, 2, 2],
    }


def test_every_method_has_the_same_budget_and_a_name_of_its_own() -> None:
    assert all(1 <= len(method.settings) <= CANDIDATES for method in METHODS)
    keys = [(method.group, method.name) for method in METHODS]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    "name", ["random label", "JiT", "Boundary Expand", "Bad Teacher", "UNSIR", "TREW"]
)
def test_same_seed_gives_the_same_weights(task: Task, name: str) -> None:
    method = next(method for method in METHODS if method.name == name)
    first, second = (
        method.unlearn(restrict(task, method.group), **method.settings[0]).state_dict()
        for _ in range(2)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_cwm_alone_forgets_nothing_but_the_row(task: Task, data: Data) -> None:
    before, after = (
        measure(network, task, data)
        for network in (task.network, negative_hot.cwm(task, mask="floor"))
    )
    assert before.acc_f > 0.5
    assert after.acc_f == 0
    assert after.unmasked == before.acc_f
    assert after.acc_r >= before.acc_r


def test_bias_shift_moves_one_bias(task: Task) -> None:
    edited = bias_shift(task, shift=5.0)
    difference = predict(edited, task.forget) - predict(task.network, task.forget)
    expected = torch.zeros(10)
    expected[FORGOTTEN] = -5
    assert torch.allclose(difference, expected.expand_as(difference), atol=1e-5)


@pytest.mark.parametrize(
    ("method", "elsewhere"), [(negative_hot.nhle, 1 / 9), (negative_hot.simple_label, 0.0)]
)
def test_a_published_step_moves_the_head_by_p_minus_label(
    task: Task, method: Callable[..., nn.Module], elsewhere: float
) -> None:
    label = torch.full((10,), elsewhere)
    label[FORGOTTEN] = -1
    features = extract_features(task.network, task.forget)
    gradient = predict(task.network, task.forget).softmax(1) - label
    expected = task.network.classifier.weight - 0.1 * gradient.T @ features / len(features)
    edited = method(task, rate=0.1, steps=1)
    assert torch.allclose(edited.classifier.weight, expected, atol=1e-5)


def test_negative_gradient_raises_the_loss_of_forget_samples(task: Task) -> None:
    edited = relabelling.negative_gradient(task, rate=1e-3, steps=20)
    before, after = (
        get_loss(network, task.forget, task.forget_labels) for network in (task.network, edited)
    )
    assert after > before


def test_fine_tuning_lowers_the_loss_of_retained_samples(task: Task) -> None:
    edited = relabelling.fine_tune(task, rate=1e-3, steps=50)
    before, after = (
        get_loss(network, task.retained, task.retained_labels) for network in (task.network, edited)
    )
    assert after < before


@pytest.mark.parametrize(
    "name", ["SCRUB", "Bad Teacher", "DELETE", "random label", "Boundary Shrink"]
)
def test_tuned_method_forgets_on_test_images_and_keeps_most(
    task: Task, data: Data, name: str
) -> None:
    method = next(method for method in METHODS if method.name == name)
    before = measure(task.network, task, data)
    after = measure(tune(method, restrict(task, method.group)).network, task, data)
    assert after.acc_f < before.acc_f / 2
    assert after.acc_r > before.acc_r - 0.2


@pytest.mark.parametrize(("name", "index"), [("Spotter", 0), ("CLUE", 0), ("TREW", 0), ("ESC", 0)])
def test_setting_forgets_on_test_images_and_keeps_most(
    task: Task, data: Data, name: str, index: int
) -> None:
    method = next(method for method in METHODS if method.name == name)
    edited = method.unlearn(restrict(task, method.group), **method.settings[index])
    before, after = (measure(network, task, data) for network in (task.network, edited))
    assert max(after.acc_f, after.unmasked) < before.acc_f / 2
    assert after.acc_r > before.acc_r - 0.2


def test_delete_moves_towards_the_original_without_the_class(task: Task) -> None:
    target = predict(task.network, task.forget)
    target[:, FORGOTTEN] = -torch.inf
    edited = distillation.delete(task, rate=1e-2, steps=100)
    before, after = (
        (predict(network, task.forget).softmax(1) - target.softmax(1)).abs().sum(1).mean()
        for network in (task.network, edited)
    )
    assert after < before / 4


def test_targets_are_tilted_towards_similar_classes(task: Task) -> None:
    plain, tilted = (reweighting.make_targets(task, tilt).softmax(1) for tilt in (0.0, 10.0))
    rows = task.network.classifier.weight.detach()
    directions = functional.normalize(rows - rows.mean(0))
    similarity = (10 * directions[KEPT] @ directions[FORGOTTEN]).softmax(0)
    assert (tilted[:, FORGOTTEN] == 0).all()
    by_hand = plain[:, KEPT] * (10 * similarity).exp()
    assert torch.allclose(tilted[:, KEPT], by_hand / by_hand.sum(1, keepdim=True), atol=1e-5)


def test_tilted_reweighting_learns_its_targets_and_follows_labels(task: Task) -> None:
    edited = reweighting.tilted_reweighting(task, rate=1e-2, steps=30, tilt=10.0)
    targets = reweighting.make_targets(task, 10.0)
    before, after = (
        diverge(targets, predict(network, task.forget)) for network in (task.network, edited)
    )
    assert after < before / 4
    before, after = (
        get_loss(network, task.retained, task.retained_labels) for network in (task.network, edited)
    )
    assert after < before


def test_similarity_counts_pairs_of_one_class_by_hand() -> None:
    features = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
    labels = torch.tensor([0, 0, 1, 1])
    # cosines 1 and 1 / √2, each pair counted twice
    expected = (1 + 0.5**0.5) / 2
    assert scattering.measure_similarity(features, labels).item() == pytest.approx(expected)
    assert scattering.measure_similarity(features[::2], labels[::2]).item() == 0


def test_scattering_leaves_no_prototype_and_keeps_what_is_near(task: Task) -> None:
    with_it, without = (
        scattering.scatter(task, rate=1e-2, steps=20, dispersion=weight) for weight in (1.0, 0.0)
    )
    scattered, gathered = (
        scattering.measure_similarity(extract_features(network, task.forget), task.forget_labels)
        for network in (with_it, without)
    )
    assert scattered < gathered
    attacked = boundary.attack(task)
    expected = drop_forgotten(predict(task.network, attacked), task)
    plain = distillation.delete(task, rate=1e-2, steps=20)
    near, far = (diverge(expected, predict(network, attacked)) for network in (without, plain))
    assert near < far


def test_energy_is_raised_until_all_scores_are_small(task: Task) -> None:
    scores = torch.tensor([[2.0, 2.0], [0.0, 0.0], [-9.0, 0.0]])
    assert free_energy.measure_shortfall(scores).item() == pytest.approx(4 / 3)
    edited = free_energy.raise_energy(task, rate=1e-4, steps=30, weight=1.0)
    before, after = (
        free_energy.measure_shortfall(predict(network, task.forget))
        for network in (task.network, edited)
    )
    assert after < before / 4


def test_erasing_takes_the_directions_out_of_all_features(task: Task) -> None:
    edited = subspace.erase_subspace(task, share=2 / 24)
    before, after = (extract_features(network, task.forget) for network in (task.network, edited))
    spectrum = torch.linalg.svdvals(before)
    assert torch.allclose(torch.linalg.svdvals(after)[:14], spectrum[2:], atol=1e-3)
    assert torch.equal(edited.classifier.weight, task.network.classifier.weight)
    assert torch.allclose(
        predict(edited, task.forget), edited.classifier(after).detach(), atol=1e-4
    )


def test_attack_raises_the_loss_within_its_bound(task: Task) -> None:
    attacked = boundary.attack(task)
    difference = (attacked - task.forget).abs().max()
    span = task.forget.max() - task.forget.min()
    assert difference.item() == pytest.approx(boundary.ATTACK_SIZE * span.item(), rel=1e-4)
    before, after = (
        get_loss(task.network, inputs, task.forget_labels) for inputs in (task.forget, attacked)
    )
    assert after > before


def test_lipschitz_flattens_the_function_about_forget_samples(task: Task) -> None:
    edited = lipschitz.lipschitz(task, rate=1e-2, sigma=0.5, steps=50)
    shifted = task.forget + 0.5 * torch.randn(task.forget.shape)
    before, after = (
        (predict(network, task.forget) - predict(network, shifted)).norm(dim=1).mean()
        for network in (task.network, edited)
    )
    assert after < before


def test_dampening_formula_by_hand() -> None:
    value = torch.tensor([2.0, 2.0, 2.0, 2.0])
    forget = torch.tensor([8.0, 4.0, 1.0, 0.0])
    overall = torch.tensor([1.0, 1.0, 1.0, 0.0])
    dampened = dampening.dampen(value, forget, overall, alpha=2.0, lam=0.5)
    # 8 > 2: 2 * 0.5 / 8; 4 > 2: 2 * 0.5 / 4; 1 is not above 2; 0 / 0 changes nothing
    assert dampened.tolist() == [0.125, 0.25, 2.0, 2.0]
    # min(λ F_D / F_F, 1) never amplifies
    assert dampening.dampen(value, forget, overall, alpha=2.0, lam=100.0).tolist() == [2.0] * 4


def test_importance_is_the_mean_squared_gradient_by_hand() -> None:
    torch.manual_seed(0)
    network = nn.Linear(3, 2)
    inputs, labels = torch.randn(5, 3), torch.tensor([0, 1, 0, 1, 1])
    error = network(inputs).softmax(1) - functional.one_hot(labels)  # ∂/∂z of -log p
    by_hand = (error[:, :, None] * inputs[:, None, :]).square().mean(0)
    weight, bias = dampening.measure_importance(network, inputs, labels)
    assert torch.allclose(weight, by_hand, atol=1e-6)
    assert torch.allclose(bias, error.square().mean(0), atol=1e-6)


@pytest.mark.parametrize("shape", [(7, 6), (7, 6, 3, 3)], ids=["linear", "convolution"])
def test_projection_removes_the_direction_and_no_other(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    weight, retained = torch.randn(shape), torch.randn(4, 6)
    directions = projection.find_directions(torch.randn(1, 6), retained, "span")
    assert directions.shape == (6, 1)
    assert torch.allclose(retained @ directions, torch.zeros(4, 1), atol=1e-5)
    edited = projection.remove_directions(weight, directions, 1.0)
    left = torch.einsum("od...,dr->or...", edited, directions)
    assert torch.allclose(left, torch.zeros_like(left), atol=1e-5)
    on_retained = (torch.einsum("od...,nd->on...", each, retained) for each in (weight, edited))
    assert torch.allclose(*on_retained, atol=1e-5)
    halved = projection.remove_directions(weight, directions, 0.5)
    assert torch.allclose(halved, (weight + edited) / 2, atol=1e-6)


def test_projection_finds_nothing_where_retained_classes_explain_all() -> None:
    forget, retained = torch.randn(1, 3), torch.randn(5, 3)
    assert projection.find_directions(forget, retained, "span").shape == (3, 0)
    assert projection.find_directions(forget, retained, "mean").shape == (3, 1)


def test_projection_blinds_the_head_to_the_class(lenet_task: Task) -> None:
    edited = projection.projection(lenet_task, strength=1.0, residual="span")
    before, after = (
        get_loss(network, lenet_task.forget, lenet_task.forget_labels)
        for network in (lenet_task.network, edited)
    )
    assert after > before


def test_projection_passes_over_grouped_convolutions() -> None:
    network = nn.Sequential(conv_bn(4, 4, 3, groups=4), conv_bn(4, 8)).eval()
    operators = [op for op, _ in projection.record_inputs(network, torch.randn(2, 4, 5, 5))]
    assert operators == [network[1][0]]


def test_weight_filter_scales_each_output_unit_down(lenet_task: Task) -> None:
    edited = weight_filtering(lenet_task, rate=1e-1, steps=20)
    for name, value in lenet_task.network.named_parameters():
        ratio = edited.get_parameter(name) / value
        if value.ndim == 1:
            assert torch.equal(edited.get_parameter(name), value)
            continue
        gates = ratio.flatten(1).median(1).values
        assert torch.allclose(ratio, gates.view(-1, *[1] * (value.ndim - 1)), atol=1e-3)
        assert ((gates > 0) & (gates < 1)).all()


def test_noise_is_learned_from_labels_alone(task: Task) -> None:
    blank = replace(task, forget=torch.zeros_like(task.forget))
    settings = {"rate": 1e-3, "steps": 2}
    first, second = (noise.error_maximising_noise(each, **settings) for each in (task, blank))
    assert torch.equal(first.classifier.weight, second.classifier.weight)


def test_gated_transfer_uses_no_data_and_starts_anew(
    lenet_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gated_transfer, "STEP_LIMIT", 11)
    blank = replace(lenet_task, forget=torch.zeros_like(lenet_task.forget))
    first, second = (
        gated_transfer.gated_transfer(each, rate=1e-3, threshold=0.01)
        for each in (lenet_task, blank)
    )
    assert torch.equal(first.classifier.weight, second.classifier.weight)
    fresh = reset_network(lenet_task.network, lenet_task.seed)
    assert torch.allclose(first.classifier.weight, fresh.classifier.weight, atol=0.02)


def test_anchors_get_the_original_network_s_labels(task: Task) -> None:
    labelled = label_anchors(restrict(task, Group.ANCHORS))
    assert len(labelled.retained) == len(task.anchors)
    assert set(labelled.retained_labels.tolist()) <= set(KEPT)
    assert (labelled.retained_labels == task.retained_labels).double().mean() > 0.7


@pytest.mark.parametrize("group", Group)
def test_score_sees_through_a_masked_head(task: Task, group: Group) -> None:
    limited = restrict(task, group)
    untouched, masked = (
        score_network(network, limited)
        for network in (task.network, negative_hot.cwm(task, mask="floor"))
    )
    assert masked == pytest.approx(untouched + 0.5)  # half of what counts is what is left beneath
    assert masked < 0.7


def test_tuning_keeps_the_best_setting_and_never_a_broken_one(task: Task) -> None:
    def unlearn(task: Task, *, scale: float) -> nn.Module:
        edited = copy.deepcopy(task.network)
        with torch.no_grad():
            edited.classifier.weight[FORGOTTEN] *= scale
        return edited

    settings = tuple({"scale": scale} for scale in (float("nan"), 1.0, 0.0, float("inf")))
    method = Method(name="x", group=Group.ANCHORS, unlearn=unlearn, settings=settings)
    tuned = tune(method, restrict(task, Group.ANCHORS))
    assert tuned.setting["scale"] in {0.0, 1.0}
    assert tuned.score == pytest.approx(score_network(tuned.network, task))
    assert 0 < tuned.seconds <= tuned.tuning_seconds
