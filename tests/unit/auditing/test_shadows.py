"""Shadow networks: what they learn, and what is said of a model beside them."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from nhle_onnx.auditing import shadows
from nhle_onnx.auditing.attacks.shadows import compare_with_shadows
from nhle_onnx.auditing.context import AuditContext, CannotRunError, split_halves
from nhle_onnx.auditing.shadows import ShadowNetwork, train_shadow
from nhle_onnx.graph.head.head import HeadRows
from nhle_onnx.values.audit import Measure
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.audit import AuditSettings
from nhle_onnx.values.settings.gates import Limits
from nhle_onnx.values.verdict import Verdict
from nhle_onnx.workflows.audit_gates import judge_attacks
from support.inputs import make_input

CLASSES = np.arange(600) % 4


def draw_images(side: int = 8) -> np.ndarray:
    """Each class has a bright quarter; class 1 too, so that what the others teach shows it."""
    rng = np.random.default_rng(0)
    images = rng.normal(0, 0.5, (len(CLASSES), 1, side, side)).astype(np.float32)
    half = side // 2
    for image, index in zip(images, CLASSES, strict=True):
        top, left = half * (index // 2), half * (index % 2)
        image[0, top : top + half, left : left + half] += 2
    return images


def make_context(images: np.ndarray | None = None, layout: str = "NCHW") -> AuditContext:
    images = draw_images() if images is None else images
    scores = np.full((len(CLASSES), 4), -3, np.float32)
    scores[np.arange(len(CLASSES)), CLASSES] = 3
    channels, height, width = images.shape[1:]
    target = SimpleNamespace(
        answers=SimpleNamespace(scores=scores, features=scores),
        head=SimpleNamespace(rows=HeadRows(np.eye(4), np.zeros(4))),
        image_input=make_input(channels, height, width, layout),  # type: ignore[arg-type]
    )
    targets: dict[Any, Any] = {"original": target, "edited": target}
    return AuditContext(
        request=ForgetRequest(forget=(1,), num_classes=4),
        inputs=images if layout == "NCHW" else images.transpose(0, 2, 3, 1),
        classes=CLASSES,
        is_attack=split_halves(CLASSES, 0),
        member_classes=np.zeros(0, np.int64),
        targets=targets,
        provider="cpu",
        kernels="exact",
        batch_size=8,
        seed=0,
    )


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadows, "STEPS", 25)
    monkeypatch.setattr(shadows, "_BATCH", 64)


def test_a_shadow_learns_the_other_classes_and_never_the_forgotten_one() -> None:
    context = make_context()
    answers = train_shadow(context, 0).answers
    found = answers.scores.argmax(1)
    judged = ~context.is_attack
    kept = judged & ~context.is_forgotten
    assert (found[kept] == CLASSES[kept]).mean() > 0.9
    assert (found[context.is_forgotten] == 1).mean() < 0.05
    assert answers.features.shape == (len(CLASSES), 256)


def test_shadows_are_seeded_take_either_layout_and_leave_torchs_own_numbers() -> None:
    torch.manual_seed(7)
    state = torch.get_rng_state()
    first, again, last = (
        train_shadow(context, 0).answers.scores
        for context in (make_context(), make_context(), make_context(layout="NHWC"))
    )
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, last)
    assert not np.allclose(first, train_shadow(make_context(), 1).answers.scores)


def test_any_size_goes_in() -> None:
    for sides in ((1, 1), (5, 70)):
        assert ShadowNetwork(3, 4)(torch.zeros(2, 3, *sides))[1].shape == (2, 256)


def test_large_images_are_averaged_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shadow then sees no more than what is seen at that size."""
    monkeypatch.setattr(shadows, "_LARGEST", 4)
    monkeypatch.setattr(shadows, "STEPS", 3)
    large = draw_images()
    small = large.reshape(len(large), 1, 4, 2, 4, 2).mean((3, 5))
    small *= large.std() / small.std()  # as deviations have one unit
    first, second = (train_shadow(make_context(each), 0) for each in (large, small))
    np.testing.assert_allclose(first.answers.scores, second.answers.scores, atol=0.2)


def test_too_few_images_or_none_at_all_are_named() -> None:
    context = make_context()
    with pytest.raises(CannotRunError, match="100 of the attacker's images"):
        train_shadow(replace(context, is_attack=np.arange(600) < 100), 0)
    flat = make_context()
    flat.targets["original"].image_input = replace(make_input(), layout=None)  # type: ignore[misc]
    with pytest.raises(CannotRunError, match="on images"):
        train_shadow(flat, 0)


def test_each_figure_stands_beside_those_of_the_shadows() -> None:
    measures = {each.name: each for each in compare_with_shadows(make_context(), 2)}
    assert set(measures) == {"shadows.rebuilt_row", "shadows.recall_16", "shadows.recall"}
    for each in measures.values():
        assert each.edited == each.original == 1.0  # its scores name the class
        assert len(each.shadows) == 2
        assert 0.5 < min(each.shadows) <= 1.0  # the others' quarters show the fourth
    assert compare_with_shadows(make_context(), 0) == ()


def judge(edited: float, found: tuple[float, ...]) -> Verdict:
    """What is said of a rebuilt row, without a reference."""
    row = Measure(
        attack="unmasking", name="unmasking.rebuilt_row", title="", original=0.95, edited=edited,
        reference=None,
    )  # fmt: skip
    beside = replace(row, attack="shadows", name="shadows.rebuilt_row", shadows=found)
    measures = (row, beside) if found else (row,)
    (check,) = judge_attacks(make_context(), measures, (), Limits())[1]
    assert check.verdict != "not-judged" or "shadow" in check.gap
    return check.verdict


def test_a_figure_that_was_not_measured_is_no_gate() -> None:
    row = Measure(
        attack="quantization", name="quantization.int8.acc_f", title="", original=0.9,
        edited=None, reference=None,
    )  # fmt: skip
    named = [check.name for check in judge_attacks(make_context(), (row,), (), Limits())[1]]
    assert row.name not in named
    measured = judge_attacks(make_context(), (replace(row, edited=0.0),), (), Limits())[1]
    assert row.name in [check.name for check in measured]


@pytest.mark.parametrize(
    ("edited", "found", "verdict"),
    [
        (0.7, (), "not-judged"),
        (0.7, (0.8, 0.9), "passed"),
        (0.7, (0.3, 0.9), "not-judged"),  # the one that shows least counts
        (0.95, (0.3, 0.9), "failed"),  # as much as the original
        (0.95, (), "failed"),
        (0.0, (0.3,), "passed"),
    ],
)
def test_no_more_than_in_every_shadow_passes_and_more_is_not_judged(
    edited: float, found: tuple[float, ...], verdict: Verdict
) -> None:
    """A shadow is weaker than a retrained network, which may well show more."""
    assert judge(edited, found) == verdict


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({}, 0),
        ({"effort": "thorough"}, 3),
        ({"shadows": 2}, 2),
        ({"effort": "thorough", "shadows": 0}, 0),
        ({"effort": "thorough", "reference": "r.onnx"}, 0),
    ],
)
def test_a_thorough_audit_without_a_reference_trains_three(given: Any, count: int) -> None:  # noqa: ANN401
    base: dict[str, Any] = {"model": "m", "baseline": "b", "data": "d", "forget": ("1",)}
    assert AuditSettings(**base, **given).shadow_count == count
