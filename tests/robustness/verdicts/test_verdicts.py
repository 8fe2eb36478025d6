"""No model that still knows the class, or knows nothing, gets PASSED."""

from pathlib import Path

import pytest

from support.runs import Nhle, Unlearned
from support.verdicts import batches, commands, evidence, forms, knowledge, outputs
from support.verdicts.case import Case, Workshop

CASES = [
    case
    for module in (evidence, knowledge, batches, outputs, forms, commands)
    for case in module.CASES
]


def test_there_are_cases_enough_and_each_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 80


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_verdict_says_no_more_than_was_shown(
    case: Case, nhle: Nhle, unlearned_lenet: Unlearned, masked: Path, tmp_path: Path
) -> None:
    shop = Workshop(folder=tmp_path, forgot=unlearned_lenet.edited, masked=masked)
    result = nhle(*case.make(shop))
    assert result.code == case.code, result.err + result.out
    assert case.says in " ".join((result.out + result.err).split())
    assert "Traceback" not in result.err
