"""Documents as a person last read them: no word of them changes unnoticed."""

import pytest

from support.expected import FOLDER
from support.expected.release import DOCUMENTS


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_says_what_it_said(name: str) -> None:
    assert DOCUMENTS[name]() == (FOLDER / "release" / name).read_text("utf-8")


def test_no_expected_document_is_left_over() -> None:
    assert {path.name for path in (FOLDER / "release").iterdir()} == {*DOCUMENTS}
