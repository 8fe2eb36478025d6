"""The losses against the paper's formulas, by automatic differentiation."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import entropy
from torch import Tensor

from nhle_onnx.unlearning.losses import find_loss
from nhle_onnx.unlearning.losses.paper_cross_entropy import paper_cross_entropy_loss
from nhle_onnx.unlearning.losses.paper_gradient import paper_gradient_loss
from nhle_onnx.unlearning.losses.saturating import saturating_loss
from nhle_onnx.unlearning.nhle import (
    anchor_loss,
    encode_negative_hot,
    measure_win_margin,
    retained_divergence,
)
from nhle_onnx.values.request import ForgetRequest


@st.composite
def requests(draw: st.DrawFn) -> ForgetRequest:
    count = draw(st.integers(2, 20))
    forget = draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=count - 1, unique=True))
    return ForgetRequest(forget=tuple(forget), num_classes=count)


def differentiate(name: str, logits: Tensor, labels: Tensor) -> Tensor:
    logits = logits.clone().requires_grad_()
    find_loss(name).measure(logits, labels, scale=1.0, margin=1.0).backward()
    assert logits.grad is not None
    return logits.grad


@given(requests())
def test_labels_follow_equation_4(request: ForgetRequest) -> None:
    classes = torch.tensor(request.forget)
    labels = encode_negative_hot(classes, request)
    torch.testing.assert_close(labels.sum(1), torch.zeros(len(classes)))
    assert (labels[torch.arange(len(classes)), classes] == -1).all()
    retained = labels[:, list(request.retained)]
    torch.testing.assert_close(retained, torch.full_like(retained, 1 / len(request.retained)))


def test_one_class_of_ten_is_the_papers_label() -> None:
    request = ForgetRequest(forget=(0,), num_classes=10)
    expected = torch.tensor([[-1.0] + [1 / 9] * 9])
    torch.testing.assert_close(encode_negative_hot(torch.tensor([0]), request), expected)


@given(requests(), st.integers(0, 99))
def test_gradient_loss_has_the_papers_gradient(request: ForgetRequest, seed: int) -> None:
    """Eq. 2 and 5: p - ỹ, for one sample."""
    logits = torch.randn(1, request.num_classes, generator=torch.Generator().manual_seed(seed))
    labels = encode_negative_hot(torch.tensor(request.forget[:1]), request)
    expected = torch.softmax(logits, 1) - labels
    torch.testing.assert_close(differentiate("paper-gradient", logits, labels), expected)


@given(requests(), st.integers(0, 99))
def test_cross_entropy_is_soft_label_cross_entropy(request: ForgetRequest, seed: int) -> None:
    """-Σ ỹ log p, whose gradient is the constant -ỹ."""
    logits = torch.randn(1, request.num_classes, generator=torch.Generator().manual_seed(seed))
    labels = encode_negative_hot(torch.tensor(request.forget[:1]), request)
    oracle = torch.nn.functional.cross_entropy(logits, labels)
    torch.testing.assert_close(
        paper_cross_entropy_loss(logits, labels), oracle, rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(differentiate("paper-cross-entropy", logits, labels), -labels)


def test_only_the_saturating_loss_ends() -> None:
    request = ForgetRequest(forget=(0,), num_classes=10)
    labels = encode_negative_hot(torch.tensor([0]), request)
    forgotten = torch.tensor([[-1e4] + [0.0] * 9])
    assert saturating_loss(forgotten, labels, scale=1.0, margin=1.0) == 0
    assert paper_cross_entropy_loss(forgotten, labels) < -1e3
    assert paper_gradient_loss(forgotten, labels) < -1e3


def test_saturating_loss_is_free_of_the_logits_scale() -> None:
    request = ForgetRequest(forget=(2,), num_classes=5)
    labels = encode_negative_hot(torch.tensor([2, 2]), request)
    logits = torch.randn(2, 5)
    torch.testing.assert_close(
        saturating_loss(100 * logits, labels, scale=100.0, margin=1.0),
        saturating_loss(logits, labels, scale=1.0, margin=1.0),
    )


def test_anchor_loss_looks_at_retained_classes_alone() -> None:
    request = ForgetRequest(forget=(1,), num_classes=4)
    original = torch.randn(6, 4)
    moved = original.clone()
    moved[:, 1] += 50
    assert anchor_loss(moved, original, request, scale=1.0) == pytest.approx(0, abs=1e-6)
    moved[:, 2] += 1
    assert anchor_loss(moved, original, request, scale=1.0) > 0.1


def test_losses_of_several_samples_are_their_mean() -> None:
    request = ForgetRequest(forget=(0,), num_classes=4)
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    labels = encode_negative_hot(torch.zeros(5, dtype=torch.int64), request)
    for name in ("saturating", "paper-gradient", "paper-cross-entropy"):
        alone = [
            find_loss(name).measure(logits[[i]], labels[[i]], scale=2.0, margin=0.7)
            for i in range(5)
        ]
        together = find_loss(name).measure(logits, labels, scale=2.0, margin=0.7)
        torch.testing.assert_close(together, torch.stack(alone).mean())


def test_saturating_loss_is_softplus_of_the_lead_and_the_margin() -> None:
    request = ForgetRequest(forget=(0,), num_classes=3)
    labels = encode_negative_hot(torch.tensor([0]), request)
    logits = torch.tensor([[5.0, 1.0, 3.0]])  # 3 above the mean of the others
    expected = np.log1p(np.exp(3 / 2 + 0.7))
    loss = find_loss("saturating").measure(logits, labels, scale=2.0, margin=0.7)
    assert float(loss) == pytest.approx(expected, rel=1e-6)
    assert float(saturating_loss(logits, labels, scale=2.0, margin=0.7)) == pytest.approx(expected)


def test_anchor_loss_is_divergence_and_change() -> None:
    """Against SciPy: KL(original ‖ now) over the retained classes, and the change in units."""
    request = ForgetRequest(forget=(1,), num_classes=4)
    generator = torch.Generator().manual_seed(0)
    now, original = (torch.randn(6, 4, generator=generator).double() for _ in range(2))
    kept = [0, 2, 3]
    was, became = (softmax(logits[:, kept].numpy(), axis=1) for logits in (original, now))
    divergence = entropy(was, became, axis=1).mean()
    assert float(retained_divergence(now, original, request)) == pytest.approx(divergence)
    change = ((now - original)[:, kept].numpy() / 3) ** 2
    loss = anchor_loss(now, original, request, scale=3.0)
    assert float(loss) == pytest.approx(divergence + change.mean())


def test_a_class_wins_against_retained_ones_alone() -> None:
    """Not against another one that is forgotten."""
    request = ForgetRequest(forget=(0, 2), num_classes=4)
    labels = encode_negative_hot(torch.tensor([0, 2]), request)
    logits = torch.tensor([[5.0, 1.0, 9.0, 3.0], [5.0, 1.0, 2.0, 3.0]])
    assert measure_win_margin(logits, labels).tolist() == [2.0, -1.0]
