"""What a report says of training at each effort."""

import pytest

from nhle_onnx.hints import word
from nhle_onnx.training.effort import ENDURANCE, describe_less
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.request import Effort, Method


@pytest.mark.parametrize(
    ("effort", "method", "resists", "says"),
    [
        ("fast", "nhle-cwm", False, "had to lose by 50 % of the usual margin"),
        ("fast", "cwm", False, None),
        ("standard", "nhle-cwm", False, None),
        ("thorough", "nhle-cwm", True, None),
        ("thorough", "nhle", False, "did not resist an attacker"),
        ("thorough", "cwm", False, None),
    ],
)
def test_what_is_left_out_is_noted(
    effort: Effort,
    method: Method,
    resists: bool,  # noqa: FBT001
    says: str | None,
) -> None:
    notes = describe_less(UnlearnOptions(effort=effort, method=method), resists=resists)
    assert len(notes) == (says is not None)
    for note in notes:
        assert says is not None
        assert says in note
        assert word(note, "flags").startswith(f"--effort {effort}: ")


def test_only_the_thorough_effort_costs_an_attacker() -> None:
    assert [each.attack_steps > 0 for each in ENDURANCE.values()] == [False, False, True]
