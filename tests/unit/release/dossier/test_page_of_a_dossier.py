"""What a dossier concludes; its whole page is in test_expected.py."""

from dataclasses import replace

import pytest

from nhle_onnx.release.dossier.page import conclude_dossier, describe_dossier
from nhle_onnx.release.dossier.risks import list_risks
from nhle_onnx.values.dossier import Dossier
from support.dossiers import FILES, FINDINGS, PATCH, make_dossier, make_masking
from support.reports import AUDIT, EDIT

PASSED = FINDINGS[:1]
FAILED = tuple(replace(each, verdict="failed") for each in FINDINGS)


@pytest.mark.parametrize(
    ("dossier", "sentence"),
    [
        (
            make_dossier(findings=PASSED, gaps=()),
            "Erased: every check passed. At most 1.5 % may still be recognised.",
        ),
        (
            make_dossier(findings=FAILED, gaps=()),
            ("Not erased: unlearn, audit did not hold. "
            "The model must not be used as one that has forgotten."),
        ),
        (
            replace(make_masking(), findings=FAILED[1:]),
            ("Not erased: audit did not hold. "
            "The model must not be used as one that has forgotten."),
        ),
        (
            make_dossier(findings=PASSED),
            "Not shown: nothing failed, but erasure is not shown. What is missing is listed.",
        ),
        (
            make_dossier(kind="masking", gaps=(), findings=PASSED, labels=("a", "b", "c")),
            ("Masked, not erased. The model no longer answers 1 b, 2 c, but still holds what it "
            "learned. This must not be reported as erasure."),
        ),
    ],
)  # fmt: skip
def test_the_sentence_that_counts(dossier: Dossier, sentence: str) -> None:
    assert conclude_dossier(dossier) == sentence


@pytest.mark.parametrize(
    ("completed", "due", "told"),
    [
        ("2026-03-03", None, "completed on 2026-03-03, after 1 day."),
        ("2026-03-04", "2026-03-04", "completed on 2026-03-04, after 2 days, due on 2026-03-04."),
        ("2026-03-02", "2026-03-01", "the same day, due on 2026-03-01: late."),
    ],
)
def test_how_long_it_took(completed: str, due: str | None, told: str) -> None:
    request = replace(make_dossier().request, completed=completed, due=due)
    verdict = describe_dossier(make_dossier(request=request)).verdict
    assert verdict
    assert verdict.explanation[0].endswith(told)


def test_risks_that_are_not_there_are_not_told() -> None:
    given = (replace(FILES[0], size_bytes=1),)
    plain = PATCH.model_copy(update={"tensors": PATCH.tensors[1:]})
    always = list_risks(EDIT, None, (), given, None, ())
    assert always[0] == (
        "The original model (original.onnx) still knows 3 Dress: delete it, and all copies."
    )
    assert len(always) == 3
    assert list_risks(EDIT, replace(AUDIT, skipped=()), (), given, plain, ()) == always
