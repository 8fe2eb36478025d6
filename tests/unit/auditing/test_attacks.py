"""Attacks by what they must find on inputs of which the answer is known."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from nhle_onnx.auditing.attacks import layers as layers_attack
from nhle_onnx.auditing.attacks.closeness import compare_closeness, compare_to_both
from nhle_onnx.auditing.attacks.difference import attack_difference, guess_largest
from nhle_onnx.auditing.attacks.layers import attack_layers, measure_cka, measure_few
from nhle_onnx.auditing.attacks.membership import read_member_probabilities
from nhle_onnx.auditing.attacks.neighbours import find_neighbours, measure_neighbours
from nhle_onnx.auditing.attacks.outputs import guess_from_outputs
from nhle_onnx.auditing.attacks.perturbation import REACH, perturb
from nhle_onnx.auditing.attacks.relearning import (
    RelearnSamples,
    attack_by_relearning,
    relearn,
)
from nhle_onnx.auditing.context import AuditContext, CannotRunError, split_halves
from nhle_onnx.auditing.layers import list_late_layers, pool
from nhle_onnx.auditing.unmasked import list_fitting
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import HeadRows
from nhle_onnx.graph.image_input import read_image_input
from nhle_onnx.graph.load import load_model
from nhle_onnx.values.request import ForgetRequest
from support.graphs import make_model, make_node
from support.shipped import LENET, MOBILENET

RNG = np.random.default_rng


def make_context(classes: np.ndarray, **scores: np.ndarray) -> AuditContext:
    """Of models that have these scores as features, too, and a head that passes them on."""
    count = next(iter(scores.values())).shape[1]
    head = SimpleNamespace(rows=HeadRows(np.eye(count), np.zeros(count)))
    targets: dict[Any, Any] = {
        role: SimpleNamespace(answers=SimpleNamespace(scores=each, features=each), head=head)
        for role, each in scores.items()
    }
    return AuditContext(
        request=ForgetRequest(forget=(1,), num_classes=count),
        inputs=np.zeros((len(classes), 1), np.float32),
        classes=classes,
        is_attack=split_halves(classes, 0),
        member_classes=np.zeros(0, np.int64),
        targets=targets,
        provider="cpu",
        kernels="exact",
        batch_size=8,
        seed=0,
    )


def draw_scores(classes: np.ndarray, *, hides: int | None = None) -> np.ndarray:
    scores = RNG(0).normal(0, 1, (len(classes), 4)).astype(np.float32)
    scores[np.arange(len(classes)), classes] += 6
    if hides is not None:
        scores[:, hides] = -9
    return scores


CLASSES = np.arange(400) % 4
KNOWN, HIDDEN = draw_scores(CLASSES), draw_scores(CLASSES, hides=1)


def test_late_layers_of_lenet_are_those_behind_its_convolutions() -> None:
    proto = onnx.load(LENET)
    head = proto.graph.node[-1].input[0]
    layers = list_late_layers(proto, "image", [head])
    assert [(each.position, each.total) for each in layers] == [(3, 4), (4, 4)]
    readers = [
        next(node.op_type for node in proto.graph.node if each.tensor in node.input)
        for each in layers
    ]
    assert readers == ["Gemm", "Gemm"]


def test_layers_of_a_deep_network_are_few_and_end_before_its_head() -> None:
    proto = onnx.load(MOBILENET)
    head = proto.graph.node[-1].input[0]
    positions = [each.position for each in list_late_layers(proto, "image", [head])]
    total = list_late_layers(proto, "image", [head])[0].total
    assert len(positions) == 4
    assert positions == sorted(positions)
    assert positions[0] >= total // 2
    assert positions[-1] == total


def test_a_product_of_two_activations_is_no_layer() -> None:
    nodes = [make_node("MatMul", "x x", "h"), make_node("MatMul", "h w")]
    weights = {"w": np.ones((4, 4), np.float32)}
    proto = make_model(nodes, {"x": [4, 4]}, {"y": [4, 4]}, weights)
    assert [each.tensor for each in list_late_layers(proto, "x", ["y"])] == ["h"]
    assert list_late_layers(proto, "x", ["h"]) == ()


@pytest.mark.parametrize(
    ("shape", "pooled"), [((3, 4), 4), ((3, 2, 5, 5), 50), ((3, 7, 40, 40), 7), ((3, 200, 6), 6)]
)
def test_large_maps_are_averaged_over_positions(shape: tuple[int, ...], pooled: int) -> None:
    activations = RNG(0).normal(size=shape).astype(np.float32)
    found = pool(activations)
    assert found.shape == (3, pooled)
    assert found.mean() == pytest.approx(activations.mean(), abs=1e-6)


def test_cka_ignores_rotation_and_scale_and_nothing_else() -> None:
    features = RNG(0).normal(size=(60, 5)).astype(np.float32)
    rotation, _ = np.linalg.qr(RNG(1).normal(size=(5, 5)))
    turned = (3 * features @ rotation).astype(np.float32)
    assert measure_cka(features, turned) == pytest.approx(1, abs=1e-5)
    other = RNG(2).normal(size=(60, 5)).astype(np.float32)
    assert measure_cka(features, other) < 0.3
    assert measure_cka(features, np.zeros((60, 2), np.float32)) == 0


def test_more_images_find_more_of_a_class() -> None:
    features = (RNG(0).normal(size=(400, 12)) + 1.2 * np.eye(12)[CLASSES]).astype(np.float32)
    is_attack = split_halves(CLASSES, 0)
    recalls = [
        measure_few(features, CLASSES, is_attack, (1,), shots=shots, seed=0)
        for shots in (1, 5, layers_attack.ALL)
    ]
    assert recalls == sorted(recalls)
    assert 0.25 < recalls[0] < recalls[-1] < 1


def test_the_class_that_is_answered_least_is_guessed() -> None:
    assert guess_from_outputs(HIDDEN, 1) == (1,)
    rare = KNOWN[CLASSES != 2]
    assert guess_from_outputs(rare, 1) == (2,)
    never_but_near = HIDDEN.copy()
    never_but_near[:, 0] = -20  # two classes are never answered; this one comes less near
    assert guess_from_outputs(never_but_near, 1) == (0,)
    assert guess_from_outputs(never_but_near, 2) == (0, 1)


def test_what_changed_most_is_guessed_and_nothing_where_nothing_changed() -> None:
    assert guess_largest(np.array([0.1, 0.0, 3.0]), 1) == (2,)
    assert guess_largest(np.zeros(3), 1) == ()
    edited = KNOWN.copy()
    edited[CLASSES == 1] = 0
    context = make_context(CLASSES, original=KNOWN, edited=edited)
    found = {each.name: each for each in attack_difference(context)}
    answers = found["difference.guessed_from_answers"]
    assert (answers.original, answers.edited) == (0, 1)
    assert found["difference.guessed_from_head"].edited == 0  # its rows are the original's
    assert "difference.named_by_patch" not in found
    named = attack_difference(replace(context, named_by_patch=(1,)))
    assert named[-1].name == "difference.named_by_patch"
    assert named[-1].edited == 1


def test_heads_of_another_shape_are_not_compared() -> None:
    """Of a network with other features, into which the original's head does not fit."""
    context = make_context(CLASSES, original=KNOWN, edited=HIDDEN)
    other: Any = context.targets["edited"]
    other.head = SimpleNamespace(rows=HeadRows(np.zeros((4, 5)), np.zeros(4)))
    assert attack_difference(context) == ()
    with pytest.raises(CannotRunError, match="head has another shape"):
        list_fitting(context)


def test_layers_of_another_network_are_not_compared() -> None:
    context = make_context(CLASSES, original=KNOWN, edited=HIDDEN)
    for role, path in (("original", LENET), ("edited", MOBILENET)):
        target: Any = context.targets[role]  # type: ignore[index]  # both are roles
        target.model = load_model(path)
        target.image_input = read_image_input(target.model)
        target.layout = find_head(target.model)
    with pytest.raises(CannotRunError, match="other layers than the original"):
        attack_layers(context)


def test_attacks_name_what_they_lack() -> None:
    few = np.array([1] * 30 + [0] * 19)
    answers = draw_scores(few)
    context = make_context(few, original=answers, edited=answers)
    with pytest.raises(CannotRunError, match="it needs 20 retained samples, and there are 19"):
        measure_neighbours(context)
    target: Any = SimpleNamespace(member_answers=None)
    with pytest.raises(CannotRunError, match="no members were given"):
        read_member_probabilities(context, target)
    lost = make_context(CLASSES, original=HIDDEN, edited=HIDDEN)
    cpu = torch.device("cpu")
    with pytest.raises(CannotRunError, match="the original does not know the class"):
        attack_by_relearning(lost, cpu, {}, lambda *_: None)


def test_relearning_ends_where_a_network_gives_no_numbers() -> None:
    """As of a network that overflows; the attack then did not bring the class back."""
    layer = nn.Linear(1, 4)
    nn.init.constant_(layer.weight, np.inf)
    lowered: Any = SimpleNamespace(
        module=lambda inputs: (layer(inputs),), parameter_of={"w": layer.weight}
    )
    samples = RelearnSamples(
        known=np.ones((8, 1), np.float32), known_classes=np.arange(8) % 4,
        judged=np.ones((4, 1), np.float32), judged_classes=np.ones(4, np.int64),
    )  # fmt: skip
    steps: list[int] = []
    cpu = torch.device("cpu")
    curve = relearn(lowered, samples, goal=0.9, device=cpu, seed=0, on_step=steps.append)
    assert (len(curve), steps) == (1, [])


def test_neighbours_are_what_the_original_nearly_takes_for_the_class() -> None:
    scores = KNOWN.copy()
    near = np.flatnonzero(CLASSES == 3)[:30]
    scores[near, 1] = scores[near].max(1) - 0.1
    context = make_context(CLASSES, original=scores, edited=HIDDEN)
    assert set(near) == set(find_neighbours(context))


def test_a_linear_model_falls_where_its_margin_is_within_reach() -> None:
    """The best change of pixels within ±reach moves a score by reach x the sum of its weights."""
    module = nn.Linear(6, 2, bias=False)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[1.0, -1, 1, 1, -1, 1], [0] * 6]))
    reach = REACH * 1.0
    images = np.full((2, 6), 0.5, np.float32)
    for row, margin in enumerate((0.9 * 6 * reach, 1.1 * 6 * reach)):
        images[row] += (
            (-margin - images[row] @ module.weight[0].detach().numpy())
            / 6
            * np.sign(module.weight[0].detach().numpy())
        )
    wrapped = nn.Sequential(module)
    found = perturb(
        lambda x: (wrapped(x),), images, np.zeros(2, np.int64),
        low=0.0, high=1.0, device=torch.device("cpu"), seed=0,
    )  # fmt: skip
    assert found.tolist() == [True, False]


def test_closeness_is_seldom_claimed_where_it_is_not_there() -> None:
    """The stated error rate holds where the sample lies half way."""
    claims = 0
    for seed in range(60):
        rng = RNG(seed)
        samples = [rng.normal(mean, 1, (30, 2)) for mean in (0.0, 1.0, -1.0)]
        claims += compare_closeness(*samples, seed).p_value < 0.05
    assert claims <= 8  # 3 expected; more than 8 in one of 200


def test_closeness_is_found_where_it_is_there() -> None:
    rng = RNG(0)
    own, near, far = (rng.normal(mean, 1, (50, 2)) for mean in (0.0, 0.1, 3.0))
    assert compare_closeness(own, near, far, 0).p_value < 1e-3
    assert compare_closeness(own, far, near, 0).p_value > 1 - 1e-3


def test_each_model_is_compared_with_both() -> None:
    context = make_context(CLASSES, original=KNOWN, edited=HIDDEN, reference=HIDDEN)
    (measure,) = compare_to_both(context)
    assert measure.edited is not None
    assert measure.original is not None
    assert measure.edited < 0.05
    assert measure.original > 0.95
    assert compare_to_both(make_context(CLASSES, original=KNOWN, edited=HIDDEN)) == ()
    few = make_context(CLASSES[:40], original=KNOWN[:40], edited=HIDDEN[:40], reference=HIDDEN[:40])
    with pytest.raises(CannotRunError, match="30 images"):
        compare_to_both(few)
