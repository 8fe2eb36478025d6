"""What a verdict means in one sentence, and which rows of many are shown."""

from dataclasses import replace

import pytest

from nhle_onnx.release.meaning import Report, explain_verdict, is_masked_only
from nhle_onnx.release.rows import (
    choose_rows,
    cut_labels,
    measure_spread,
    name_classes,
    say_left_out,
    take,
)
from nhle_onnx.values.verdict import Check, Evidence
from support.detection_reports import DETECTED
from support.reports import AUDIT, EDIT

SEEN = Check(
    name="after.acc_f", value=0.0, limit=0.05, better="lower",
    evidence=Evidence(images=90, interval=(0.0, 0.04), bound=0.033),
)  # fmt: skip
OPEN = Check(name="skill_before", value=None, limit=0.1, better="higher", gap="no image")
MISSED = Check(name="a", value=1.0, limit=0.1, better="lower")
SHOWN = "at most 3.3 % of 3 Dress may still be recognised (95 % confidence, 90 images)"
MASKED = {"method": "cwm"}


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        (replace(EDIT, checks=(SEEN,)), SHOWN),
        (replace(AUDIT, checks=(replace(SEEN, name="acc_f"),)), SHOWN),
        (replace(EDIT, checks=(replace(SEEN, name="other"),)), "every gate passed for 3 Dress"),
        (replace(EDIT, checks=(replace(SEEN, evidence=None), SEEN)), SHOWN),
        (
            replace(EDIT, checks=(SEEN,), method=MASKED),
            f"masked, not forgotten: the features still hold the class; {SHOWN}",
        ),
        (
            DETECTED,
            "at most 4.0 % of 1 hat may still be detected (95 % confidence, 1,040 objects)",
        ),
        (
            replace(EDIT, checks=(SEEN, OPEN), forget=(3, 8)),
            "no gate failed, but not enough is known to say that 3 Dress, 8 Bag is forgotten",
        ),
        (replace(EDIT, checks=(SEEN, OPEN, MISSED)), "a missed its limit"),
        (
            replace(EDIT, checks=(MISSED, SEEN, replace(MISSED, name="b")), method=MASKED),
            "a, b missed their limits",
        ),
    ],
)
def test_a_verdict_in_one_sentence(report: Report, sentence: str) -> None:
    assert explain_verdict(report) == sentence


def test_masking_alone() -> None:
    assert is_masked_only(replace(EDIT, method=MASKED))
    assert is_masked_only(replace(DETECTED, method=MASKED))
    assert not is_masked_only(EDIT)
    assert not is_masked_only(AUDIT)


def test_of_many_classes_those_that_differ_most_are_shown() -> None:
    """With the forgotten ones, by index; a class that only one model has differs least."""
    values = {
        "before": [0.5] * 39,
        "after": [0.5 + index / 100 for index in range(30)] + [None] * 10,
    }
    rows = choose_rows(40, (0, 39), values, measure_spread)
    assert rows == [0, *range(8, 30), 39]
    assert choose_rows(24, (0,), values, measure_spread) == list(range(24))
    assert say_left_out(rows, [""] * 40, "with x") == (
        " Shown are the classes with x; 16 more are left out here."
    )
    assert say_left_out(rows, [""] * 24, "with x") == ""
    assert take({"edited": (0.5, 0.25)}, (1, 2)) == {"edited": [0.25, None]}


def test_names_of_classes() -> None:
    assert name_classes(("a", "1"), (1,)) == ("0 a", "1 (forgotten)")
    assert cut_labels(["a" * 50, "a" * 51]) == ["a" * 50, "a" * 49 + "…"]
