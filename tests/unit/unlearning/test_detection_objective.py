"""What training minimises on a detector, by hand: three locations, of which one is forgotten."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nhle_onnx.unlearning.detection_objective import LEVEL, DetectionObjective
from nhle_onnx.unlearning.locations import Reader
from nhle_onnx.unlearning.views import Scenes
from nhle_onnx.values.detector import BoxTensor, ClassLayer, Detector, ScoreTensor
from nhle_onnx.values.request import ForgetRequest
from support.detectors import make_class_head

HEAD = make_class_head(num_classes=3, feature_dim=2)
DETECTOR = Detector(
    layers=(ClassLayer(head=HEAD, extents=(1, 3), start=0, step=1),),
    scores=ScoreTensor(name="s", axis=2, columns=(0, 1, 2)),
    boxes=BoxTensor(name="b", axis=2, form="corners", is_relative=False),
    num_classes=3,
    competes=False,
    suppresses=False,
)
BOXES = [[90.0, 90, 94, 94], [80, 80, 84, 88], [70, 70, 74, 78]]  # far from all objects
SCORES = [[0.1, 0.8, 0.1], [0.6, 0.1, 0.2], [0.0, 0.0, 0.02]]
LOGITS = [[1.0, 5.0, -1.0], [2.0, -2.0, 0.0], [-4.0, -4.0, -3.0]]
FLOOR = 0.1 * (0.8 + 0.6 + 0.02) / 3
DRIFT = 0.6 + 0.02 + 2 * FLOOR  # what the locations that are not forgotten weigh


class Fixed(nn.Module):
    """Says the same of every image, unless bright ones excite it; remembers the images."""

    def __init__(self) -> None:
        super().__init__()
        self.boxes, self.scores = torch.tensor(BOXES), torch.tensor(SCORES)
        self.logits = torch.tensor(LOGITS, requires_grad=True)
        self.features = torch.tensor([[1.0, 2], [3, 4], [0, 1]])
        self.seen, self.excitement = torch.zeros(0), 0.0

    def forward(self, images: Tensor) -> list[Tensor]:
        self.seen = images
        count = len(images)
        maps = [
            each.T[None, :, None].repeat(count, 1, 1, 1) for each in (self.logits, self.features)
        ]
        maps[0] = maps[0] + images.mean() * self.excitement
        return [each[None].repeat(count, 1, 1) for each in (self.boxes, self.scores)] + maps


def make_objective(edited: Fixed) -> DetectionObjective:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(5, 1, 12, 12, generator=generator)
    boxes = tuple(torch.tensor([[2.0, 2, 8, 8, 1]]) for _ in range(5))
    return DetectionObjective(
        module=edited, original=Fixed(), reader=Reader(detector=DETECTOR, extents=(99, 99)),
        request=ForgetRequest(forget=(1,), num_classes=3), scale=2.0,
        forget=Scenes(images[:3], boxes[:3]), anchors=Scenes(images, boxes),
        mirrors=False, max_shift=0, batch_size=4, layout="NCHW", device=torch.device("cpu"),
        generator=generator,
    )  # fmt: skip


def test_a_network_that_did_not_change_drifts_nowhere() -> None:
    losses = make_objective(Fixed())()
    assert (losses.drift, losses.retain.item()) == (0.0, 0.0)
    assert losses.forget_margin == pytest.approx((math.log(4) - LEVEL) / 2)
    assert losses.win_margin == pytest.approx((math.log(4) + math.log(9)) / 2)  # 0.1 elsewhere
    assert losses.forget.item() > 0
    assert losses.alignment.item() > 0


def test_only_the_logit_of_the_class_is_pushed_down() -> None:
    edited = Fixed()
    (gradient,) = torch.autograd.grad(make_objective(edited)().forget, edited.logits)
    assert gradient[0, 1] > 0
    gradient[0, 1] = 0
    assert not gradient.any()


@pytest.mark.parametrize(
    ("place", "drift", "retain"),
    [(0, 0, 1), (1, (0.6 + FLOOR) / DRIFT, 0), (2, (0.02 + FLOOR) / DRIFT, 0)],
)
@pytest.mark.parametrize("what", ["boxes", "logits", "scores"])
def test_a_change_counts_by_what_the_location_showed(
    what: str, place: int, drift: float, retain: float
) -> None:
    """At the forgotten location a quarter, and of its other classes alone."""
    edited = Fixed()
    with torch.no_grad():
        if what == "boxes":
            edited.boxes[place, 0] += 1  # of 4 pixels
            change = 1 / 4
        elif what == "logits":
            edited.logits[place, 2] += 3
            edited.logits[place, 1] += 7  # the forgotten class is free
            change = 0.25 * (3 / 2) ** 2 / 2
        else:
            was = edited.scores[place, 2].item()
            edited.scores[place, 2], edited.scores[place, 1] = 0.5, 0.77
            coins = [torch.distributions.Bernoulli(torch.tensor(each)) for each in (was, 0.5)]
            change = 0.5 * torch.distributions.kl_divergence(*coins).item()
    losses = make_objective(edited)()
    assert losses.drift == pytest.approx(change * drift, rel=1e-3)
    assert losses.retain.item() == pytest.approx(change * (drift + retain / 4), rel=1e-3)


def test_half_of_the_loss_is_on_what_is_left() -> None:
    """At the third location the original hardly knows the class, and the edited one still does."""
    edited = Fixed()
    objective = make_objective(edited)
    original = objective.original
    assert isinstance(original, Fixed)
    with torch.no_grad():
        original.scores[2, 1], edited.scores[2, 1], edited.scores[0, 1] = 0.05, 0.5, 0.0
    shares = torch.tensor([0.8 / 0.85, 0.05 / 0.85]) + torch.tensor([1e-4, 0.5]) / 0.5001
    margins = (torch.tensor([1e-6, 0.5]).logit() - LEVEL) / 2
    losses = torch.nn.functional.softplus(margins + 0.5)
    expected = (shares / 2 * losses).sum().item()
    assert objective().forget.item() == pytest.approx(expected, rel=0.15)


def test_what_ranks_behind_false_detections_is_as_good_as_gone() -> None:
    edited = Fixed()
    margins = []
    for elsewhere in (0.0, 0.1, 0.3):
        with torch.no_grad():
            edited.scores[0, 1], edited.scores[1:, 1] = 0.2, elsewhere
        losses = make_objective(edited)()
        margins.append(losses.win_margin)
        assert losses.forget_margin == pytest.approx((math.log(0.2 / 0.8) - LEVEL) / 2)
    expected = [math.log(0.25 / odds) / 2 for odds in (0.001 / 0.999, 1 / 9, 3 / 7)]
    assert margins == pytest.approx(expected, rel=1e-4)


def test_a_batch_in_which_no_location_shows_the_class_asks_for_nothing() -> None:
    """Its views may have left it out, and a detector that is told to go on may not know it."""
    edited = Fixed()
    objective = make_objective(edited)
    assert isinstance(objective.original, Fixed)
    objective.original.scores[:] = edited.scores[:] = 0.01
    losses = objective()
    assert (losses.forget.item(), losses.forget_margin, losses.drift) == (0, 0, 0)
    (gradient,) = torch.autograd.grad(losses.forget, edited.logits)
    assert not gradient.any()


def test_images_of_the_class_move_towards_what_is_left_of_it() -> None:
    edited = Fixed()
    objective = make_objective(edited)
    scenes = Scenes(torch.rand(20, 1, 12, 12), (*[torch.ones(1, 5)] * 16, *[torch.ones(0, 5)] * 4))
    assert torch.equal(objective.augment(scenes), scenes.images)  # nothing excites it
    edited.excitement = -1.0
    change = (objective.augment(scenes) - scenes.images).flatten(1)
    moved = change.abs().amax(1) > 0
    assert 3 <= moved[:16].sum() <= 13
    assert not moved[16:].any()
    assert (change[moved] < 0).all()
    farthest = 0.6 * scenes.images.std()
    assert (change.abs() <= farthest + 1e-6).all()


def test_a_batch_is_of_scenes_to_forget_and_of_frames_with_pasted_objects() -> None:
    edited = Fixed()
    objective = make_objective(edited)
    objective()
    assert edited.seen.shape == (3 + 4, 1, 12, 12)
    scenes = [image.flatten().tolist() for image in objective.forget.images]
    assert sorted(image.flatten().tolist() for image in edited.seen[:3]) == sorted(scenes)
    frames = [image.flatten().tolist() for image in objective.anchors.images]
    assert sum(image.flatten().tolist() in frames for image in edited.seen[3:5]) == 0
    replace(objective, layout="NHWC")()
    assert edited.seen.shape == (7, 12, 12, 1)


def test_few_locations_are_not_compared() -> None:
    edited = Fixed()
    objective = make_objective(edited)
    original = objective.original
    assert isinstance(original, Fixed)
    original.scores[2, 2] = 0.05  # nothing is background now
    assert objective().alignment.item() == 0


def test_features_like_those_of_the_background_are_what_training_wants() -> None:
    edited, far = Fixed(), Fixed()
    edited.features[0] = edited.features[2]
    far.features[0] = torch.tensor([9.0, -9.0])
    was, now, further = (make_objective(each)().alignment.item() for each in (Fixed(), edited, far))
    assert 0 <= now < was < further


def test_the_first_class_is_forgotten_as_any_other() -> None:
    edited = Fixed()
    with torch.no_grad():
        edited.boxes[1, 0] += 1
    request = ForgetRequest(forget=(0,), num_classes=3)
    losses = replace(make_objective(edited), request=request)()
    assert losses.drift == 0
    assert losses.retain.item() == pytest.approx(1 / 4 / 4, rel=1e-3)
    assert losses.forget_margin == pytest.approx((math.log(0.6 / 0.4) - LEVEL) / 2)
    assert losses.alignment.item() > 0


class Varied(Fixed):
    """Features and logits that depend on the image, at two locations of background as well."""

    def forward(self, images: Tensor) -> list[Tensor]:
        boxes, scores, logits, features = super().forward(images)
        means = images.mean((1, 2, 3))[:, None, None, None]
        return [boxes, scores, logits * (1 + means), features * means.square() + means]


def test_the_generator_decides_all() -> None:
    """Whatever torch itself would draw: two classes of several locations are compared."""

    def measure(number: int) -> list[float]:
        torch.manual_seed(number)
        edited = Varied()
        objective = replace(
            make_objective(edited), original=Varied(), mirrors=True, max_shift=2,
            request=ForgetRequest(forget=(0, 1), num_classes=3),
        )  # fmt: skip
        losses = objective()
        again = objective()
        found = (losses.forget, losses.alignment, again.forget, again.alignment)
        return [*(each.item() for each in found), edited.seen.sum().item(), again.win_margin]

    assert measure(1) == measure(2)


def test_forgotten_locations_count_by_what_the_original_made_of_them() -> None:
    """Of scores .8 and .6: the loss is that of locations drawn in proportion to them."""
    edited = Fixed()
    objective = replace(make_objective(edited), request=ForgetRequest(forget=(0, 1), num_classes=3))
    odds = torch.tensor([0.8, 0.6]).logit()
    losses = torch.nn.functional.softplus((odds - LEVEL) / 2 + 0.5).tolist()
    expected = (0.8 * losses[0] + 0.6 * losses[1]) / 1.4
    found = np.mean([objective().forget.item() for _ in range(40)])
    assert found == pytest.approx(expected, rel=0.02)
    assert objective().forget_margin == pytest.approx((math.log(4) - LEVEL) / 2)
