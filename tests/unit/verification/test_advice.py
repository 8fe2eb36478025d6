"""A failed gate comes with what would help."""

import pytest

from nhle_onnx.hints import word
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.verdict import Check
from nhle_onnx.workflows.advice import advise

KNOWN = Check(name="unmasked.acc_f", value=0.3, limit=0.05, better="lower")
LOST = Check(name="delta_acc_r", value=-0.1, limit=-0.01, better="higher")
UNSEEN = Check(name="unmasked.acc_f", value=None, limit=0.05, better="lower", gap="no images")
KEPT = Check(name="after.acc_f", value=0.0, limit=0.01, better="lower")


@pytest.mark.parametrize(
    ("checks", "options", "expected"),
    [
        ([KNOWN], UnlearnOptions(), ["--samples-per-class), and so does --effort thorough"]),
        ([KNOWN], UnlearnOptions(effort="thorough"), ["(--samples, --samples-per-class)"]),
        ([KNOWN], UnlearnOptions(steps=8), ["--steps ended training"]),
        ([LOST], UnlearnOptions(steps=8), ["(--samples, --anchors)"]),
        ([KNOWN, LOST], UnlearnOptions(), ["on more images of it", "on more images of them"]),
        ([KEPT, UNSEEN], UnlearnOptions(), []),
        ([KNOWN, LOST], UnlearnOptions(method="cwm"), []),
    ],
)
def test_what_helps(checks: list[Check], options: UnlearnOptions, expected: list[str]) -> None:
    notes = [word(note, "flags") for note in advise(checks, options)]
    assert len(notes) == len(expected)
    assert all(text in note for text, note in zip(expected, notes, strict=True))


def test_thorough_is_not_recommended_twice() -> None:
    notes = advise([KNOWN], UnlearnOptions(effort="thorough"))
    assert "thorough" not in word(notes[0], "flags")
