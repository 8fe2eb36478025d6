"""A detector's locations: which show a forgotten object, and how much each of them counts."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from nhle_onnx.detection.overlap import measure_iou
from nhle_onnx.detection.reading import Answers
from nhle_onnx.training.overlap import measure_overlaps
from nhle_onnx.unlearning.detection_objective import (
    measure_divergence,
    measure_log_odds,
    measure_loss_of_overlap,
)
from nhle_onnx.unlearning.detector_probing import measure_agreement, probe_detector
from nhle_onnx.unlearning.locations import (
    Outputs,
    Reader,
    find_forgotten,
    spread,
    weigh,
)
from nhle_onnx.values.detector import BoxTensor, ClassLayer, Detector, ScoreTensor
from nhle_onnx.values.request import ForgetRequest
from support.detectors import make_class_head

REQUEST = ForgetRequest(forget=(1,), num_classes=3)


def test_overlaps_are_those_of_the_judge() -> None:
    generator = np.random.default_rng(0)
    one, other = (
        np.concatenate([start, start + generator.uniform(0, 9, (count, 2))], 1).astype(np.float32)
        for count in (30, 20)
        for start in [generator.uniform(0, 9, (count, 2))]
    )
    found = measure_overlaps(torch.from_numpy(one)[:, None], torch.from_numpy(other))
    np.testing.assert_allclose(found, measure_iou(one, other), atol=1e-5)
    points = torch.zeros(1, 4)
    assert measure_overlaps(points, points).tolist() == [0.0]
    crossed = torch.tensor([[5.0, 5, 0, 0]])
    assert measure_overlaps(crossed, torch.tensor([[0.0, 0, 5, 5]])).tolist() == [0.0]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([0.0, 0.9, 0.1], 1), ([0.0, 0.05, 0.0], 1), ([0.0, 0.049, 0.0], -1), ([0.9, 0.8, 0.1], -1)],
    ids=["surest", "barely known", "not known", "another is surer"],
)
def test_a_location_shows_the_class_that_it_is_surest_of(
    scores: list[float], expected: int
) -> None:
    answers = Answers(torch.zeros(1, 1, 4), torch.tensor([[scores]]))
    assert find_forgotten(answers, [torch.zeros(0, 5)], REQUEST).tolist() == [[expected]]
    assert find_forgotten(answers, [], REQUEST).tolist() == [[expected]]


def test_a_location_shows_the_object_that_its_box_covers_most() -> None:
    """By its overlaps: 1, 0.5, 0.4 and 0.39 with one object, and more with a second one."""
    boxes = torch.tensor(
        [[0.0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 4], [0, 0, 10, 3.9], [21, 20, 30, 30]]
    )
    answers = Answers(torch.stack([boxes, boxes]), torch.zeros(2, 5, 3))
    given = torch.tensor([[0.0, 0, 10, 10, 2], [20, 20, 30, 30, 1]])
    found = find_forgotten(answers, [torch.zeros(0, 5), given], REQUEST)
    assert found.tolist() == [[-1] * 5, [2, 2, 2, -1, 1]]


def test_a_location_counts_as_much_as_its_best_score_and_never_nothing() -> None:
    answers = Answers(None, torch.tensor([[[0.2, 0.7], [0.0, 0.0], [0.02, 0.005]]]))
    floor = 0.1 * 0.72 / 3
    assert weigh(answers).tolist() == [pytest.approx([0.7 + floor, floor, 0.02 + floor])]


def test_background_counts_no_more_on_a_map_of_thousands_of_locations() -> None:
    scores = torch.zeros(1, 9000, 2)
    scores[0, :3, 1] = 0.8
    weights = weigh(Answers(None, scores))
    assert (weights[0, 3:].sum() / weights.sum()).item() == pytest.approx(0.1 / 1.1, rel=1e-2)


HEAD = make_class_head(num_classes=2, feature_dim=3)
DETECTOR = Detector(
    layers=(
        ClassLayer(head=HEAD, extents=(1, 2), start=0, step=1),
        ClassLayer(head=replace(HEAD, rows=(2, 0)), extents=(1, 1), start=2, step=1),
    ),
    scores=ScoreTensor(name="s", axis=2, columns=(0, 1)),
    boxes=BoxTensor(name="b", axis=2, form="corners", is_relative=True),
    num_classes=2,
    competes=False,
    suppresses=False,
)


def test_each_layer_is_read_at_its_locations_with_its_own_channels() -> None:
    boxes, scores = torch.rand(2, 3, 4), torch.rand(2, 3, 2)
    logits, others = torch.rand(2, 2, 1, 2), torch.rand(2, 3, 1, 1)
    features = torch.rand(2, 5, 1, 2), torch.rand(2, 4, 1, 1)
    read = Reader(detector=DETECTOR, extents=(10, 20))
    found = read([boxes, scores, logits, features[0], others, features[1]])
    assert torch.equal(found.answers.boxes, boxes * torch.tensor([20, 10, 20, 10]))
    assert torch.equal(found.answers.scores, scores)
    assert torch.equal(found.logits[:, :2], logits[:, :, 0].movedim(1, 2))
    assert torch.equal(found.logits[:, 2], others[:, [2, 0], 0, 0])
    assert torch.equal(found.features[0], features[0][:, :, 0].movedim(1, 2))
    assert torch.equal(found.features[1], features[1][:, :, :, 0].movedim(1, 2))
    with pytest.raises(ValueError, match="zip"):
        read([boxes, scores, logits, features[0]])


def test_the_divergence_of_scores_is_that_of_coins() -> None:
    scores, original = torch.tensor([[[0.2, 0.5, 0.9]]]), torch.tensor([[[0.6, 0.5, 0.7]]])
    coins = [torch.distributions.Bernoulli(each) for each in (original, scores)]
    expected = torch.distributions.kl_divergence(*coins).sum(2)
    assert torch.allclose(measure_divergence(scores, original), expected, atol=1e-6)
    sure = torch.tensor([[[0.0, 1.0]]])
    assert measure_divergence(sure, sure).tolist() == [[0.0]]
    assert measure_divergence(sure, 1 - sure).item() == pytest.approx(27.6, abs=0.2)


def test_a_box_that_moves_loses_overlap_and_an_empty_one_has_none_to_lose() -> None:
    original = torch.tensor([[[0.0, 0, 10, 30], [5.0, 5, 5, 5]]])
    moved = original + torch.tensor([[[2.0, 0, 0, 0], [1.0, 1, 1, 1]]])
    assert measure_loss_of_overlap(moved, original)[0].tolist() == pytest.approx([0.2, 0.0])
    assert not measure_loss_of_overlap(original, original).any()


def test_log_odds_are_those_of_the_score_and_move_as_the_logit_does() -> None:
    logits = torch.tensor([5.0, -30.0], requires_grad=True)
    odds = measure_log_odds(torch.tensor([0.75, 0.0]), logits)
    assert odds.tolist() == pytest.approx([math.log(3), -13.8], abs=0.1)
    (gradient,) = torch.autograd.grad(odds.sum(), logits)
    assert gradient.tolist() == [1.0, 1.0]


def make_outputs(*scores: list[float], logits: list[list[float]]) -> Outputs:
    return Outputs(Answers(None, torch.tensor([[*scores]])), torch.tensor([logits]), ())


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([[0.3, 0], [0.9, 0], [0.29, 0]], [1, -1, 3, -3]),
     ([[0.2, 0], [0.1, 0], [0.29, 0]], [1, -1, 3, -3, 5, -5])],
    ids=["where something is detected", "where nothing is"],
)  # fmt: skip
def test_the_scale_is_the_spread_of_the_logits(
    scores: list[list[float]], expected: list[float]
) -> None:
    outputs = make_outputs(*scores, logits=[[2.0, 0.0], [-1.0, -7.0], [10.0, 0.0]])
    probe = probe_detector(outputs, outputs.answers, (100, 64))
    assert probe.scale == pytest.approx(float(np.std(expected, ddof=1)))
    assert (probe.answers, probe.margin, probe.max_shift) == ((), 0.25, 5)
    assert probe.mirrors == (scores[0][0] == 0.3)
    assert probe_detector(outputs, outputs.answers, (9, 5)).max_shift == 1
    flat = make_outputs(*scores, logits=[[1.0, 1.0]] * 3)
    assert probe_detector(flat, flat.answers, (8, 8)).scale == 1e-6


def test_mirrored_images_agree_where_the_class_is_still_detected() -> None:
    scores = torch.zeros(2, 3, 5)
    scores[0, 0, :4], scores[1, 2, 0] = 0.3, 0.5
    mirrored = torch.zeros(2, 3, 5)
    mirrored[0, 2, :3], mirrored[0, 1, 4], mirrored[1, 0, 0] = 0.15, 0.9, 0.2
    assert measure_agreement(scores, mirrored) == pytest.approx(4 / 5)
    mirrored[0, 2, 2] = 0.149
    assert measure_agreement(scores, mirrored) == pytest.approx(3 / 5)
    assert measure_agreement(torch.full((1, 1, 2), 0.29), mirrored[:1, :1, :2]) == 0.0
    outputs = Outputs(Answers(None, scores), torch.rand(2, 3, 5), ())
    assert not probe_detector(outputs, Answers(None, mirrored), (8, 8)).mirrors


@pytest.mark.parametrize(
    ("axis", "shape"), [(1, (2, 3, 4, 5)), (-1, (2, 4, 5, 3)), (1, (2, 3, 20)), (-1, (2, 20, 3))]
)
def test_a_map_of_any_rank_has_a_row_for_each_location(axis: int, shape: tuple[int, ...]) -> None:
    found = torch.arange(120.0).reshape(shape)
    layer = replace(DETECTOR.layers[0], head=replace(HEAD, logits_axis=axis))
    expected = found.movedim(axis, -1).reshape(2, 20, 3)
    assert torch.equal(spread(layer, found), expected)
