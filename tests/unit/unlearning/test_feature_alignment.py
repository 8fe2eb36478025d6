"""What gives a forgotten class away beside the head, against scikit-learn and plain algebra."""

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from nhle_onnx.unlearning.feature_alignment import (
    draw_examples,
    imitation_loss,
    measure_separation,
    measure_spread,
    pool_features,
    separation_loss,
)
from nhle_onnx.values.request import ForgetRequest


def draw_features(gap: float, *, features: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Forget features [60, D] and anchors [200, D], `gap` apart along one direction."""
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(features, features, generator=generator)
    forget, anchors = (torch.randn(n, features, generator=generator) for n in (60, 200))
    forget[:, 0] += gap
    return forget @ mixing, anchors @ mixing


def test_separation_is_what_a_linear_discriminant_finds() -> None:
    forget, anchors = draw_features(3.0)
    loss = measure_separation(forget * 1e3, torch.zeros(len(forget)), anchors * 1e3)
    labels = np.repeat([0, 1], [len(forget), len(anchors)])
    peer = LinearDiscriminantAnalysis(solver="lsqr").fit(torch.cat([forget, anchors]), labels)
    means = peer.means_[0] - peer.means_[1]
    expected = means @ np.linalg.solve(peer.covariance_, means)
    assert float(loss) == pytest.approx(expected, rel=1e-3)  # at this size the ridge is nothing


def test_separation_with_more_features_than_samples_is_the_plain_formula() -> None:
    forget, anchors = draw_features(1.0, features=300)
    centred = torch.cat([group - group.mean(0) for group in (forget, anchors)]).double()
    scatter = centred.T @ centred / len(centred) + 0.1 * torch.eye(300).double()
    gap = (forget.mean(0) - anchors.mean(0)).double()
    expected = float(gap @ torch.linalg.solve(scatter, gap))
    loss = measure_separation(forget, torch.zeros(len(forget)), anchors)
    assert float(loss) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e5])
def test_separation_is_finite_and_no_less_than_nothing_at_any_size(size: float) -> None:
    anchors = size * torch.randn(50, 2000, generator=torch.Generator().manual_seed(0))
    anchors[:, ::2] = 0
    forget = anchors[:8].clone().requires_grad_()  # where rounding is all that parts them
    loss = separation_loss(forget, torch.zeros(8), anchors)
    loss.backward()
    assert loss >= 0
    assert loss.isfinite()
    assert forget.grad is not None
    assert forget.grad.isfinite().all()


def test_each_forgotten_class_is_kept_from_standing_apart() -> None:
    forget, anchors = draw_features(0.0)
    classes = torch.arange(len(forget)) % 2
    opposite = forget + 5.0 * (1 - 2 * classes)[:, None]  # whose common mean tells nothing
    assert measure_separation(opposite, torch.zeros(len(forget)), anchors) < 1
    each = measure_separation(opposite, classes, anchors)
    assert each.shape == (2,)
    assert each.min() > 5


def test_descent_on_separation_leaves_a_probe_nothing() -> None:
    forget, anchors = draw_features(3.0)
    labels = np.repeat([0, 1], [len(forget), len(anchors)])
    moved = forget.clone().requires_grad_()
    optimizer = torch.optim.Adam([moved], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        separation_loss(moved, torch.zeros(len(forget)), anchors).backward()
        optimizer.step()
    recalls = [
        LinearDiscriminantAnalysis(priors=[0.5, 0.5])
        .fit(torch.cat([each.detach(), anchors]), labels)
        .score(each.detach(), labels[:60])
        for each in (forget, moved)
    ]
    assert recalls[0] > 0.9
    assert recalls[1] < 0.6


def test_examples_are_of_classes_that_a_sample_resembles() -> None:
    request = ForgetRequest(forget=(0,), num_classes=4)
    anchors = 20.0 * torch.eye(4)[[1, 2, 3]].repeat(10, 1)
    forget = torch.tensor([[30.0, 0.0, 15.0, 0.0]]).repeat(50, 1)
    chosen = draw_examples(forget, anchors, request, torch.Generator().manual_seed(0))
    assert (chosen % 3 == 1).all()  # anchors of class 2
    assert len(chosen.unique()) > 1


def test_a_sample_that_resembles_no_anchor_may_imitate_any() -> None:
    """Scores so far apart that each chance is 0 in float32 leave nothing to draw by."""
    request = ForgetRequest(forget=(0,), num_classes=3)
    anchors = 1e30 * torch.eye(3)[[1] * 40]
    forget = 1e30 * torch.eye(3)[[2] * 40]
    chosen = draw_examples(forget, anchors, request, torch.Generator().manual_seed(0))
    assert len(chosen.unique()) > 5
    assert ((chosen >= 0) & (chosen < 40)).all()


def test_examples_are_drawn_by_retained_classes_alone() -> None:
    """What both give the forgotten class says nothing: either anchor is as likely."""
    request = ForgetRequest(forget=(0,), num_classes=3)
    forget = torch.tensor([[90.0, 0.0, 0.0]]).repeat(400, 1)
    anchors = torch.tensor([[90.0, 50.0, 0.0], [0.0, 0.0, 50.0]])
    chosen = draw_examples(forget, anchors, request, torch.Generator().manual_seed(0))
    assert 150 < int(chosen.sum()) < 250


def test_the_only_anchor_is_the_example() -> None:
    request = ForgetRequest(forget=(0,), num_classes=3)
    chosen = draw_examples(torch.randn(4, 3), torch.randn(1, 3), request, torch.Generator())
    assert chosen.tolist() == [0] * 4


def test_imitation_is_the_mean_square() -> None:
    loss = imitation_loss(
        torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 5.0], [1, 1]])
    )
    assert float(loss) == pytest.approx((1 + 9 + 1 + 1) / 4)


def test_imitation_is_nothing_where_features_are_the_same() -> None:
    forget, anchors = draw_features(1.0)
    assert imitation_loss(anchors[:5], anchors[:5]) == 0
    assert imitation_loss(forget[:5], anchors[:5]) > 0


def test_features_that_never_vary_have_a_spread() -> None:
    assert (measure_spread(torch.zeros(5, 3)) > 0).all()
    assert (measure_spread(torch.tensor([[0.0, 1.0], [0.0, -1.0]])) > 0).all()
    large = torch.full((5, 1), 1e6)  # where float32 steps by a sixteenth
    assert 0.05 < float(measure_spread(large)) < 0.2
    same = torch.full((5, 1), 3.0)
    assert (same / measure_spread(same)).isfinite().all()
    assert ((same + 3e-7) / measure_spread(same) - same / measure_spread(same) < 2).all()


def test_spread_is_the_standard_deviation_but_for_what_hardly_varies() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(200, 3, generator=generator) * torch.tensor([1.0, 2.0, 1e-6])
    spread = measure_spread(features)
    torch.testing.assert_close(spread[:2], features[:, :2].std(0))
    torch.testing.assert_close(spread[2], 0.1 * features.std())


def test_convolutional_features_are_averaged_over_places() -> None:
    features = torch.arange(24.0).reshape(1, 2, 3, 4)
    assert torch.equal(pool_features(features), torch.tensor([[5.5, 17.5]]))
    assert torch.equal(pool_features(features[:, :, 0, 0]), features[:, :, 0, 0])
    assert torch.equal(pool_features(features[:, :, 0]), torch.tensor([[1.5, 13.5]]))
