"""CASE.toml: what is read, and which key is named where it is wrong."""

from pathlib import Path

import pytest

from nhle_onnx.release.dossier.case import _refuse, read_case
from support.assertions import assert_refuses

TEXT = """[request]
id = "DSR-1"
received = 2026-03-02
completed = 2026-03-02
forget = ["Dress", 7]
[files]
edited = "e.onnx"
unlearn = "e.report.json"
[[signed_by]]
name = "Ana"
role = "DPO"
date = 2026-03-20
"""


@pytest.fixture
def case(tmp_path: Path) -> Path:
    path = tmp_path / "case.toml"
    path.write_text(TEXT, "utf-8")
    return path


def test_a_case_is_read(case: Path) -> None:
    found = read_case(case)
    assert found.request.names == ("Dress", "7")
    assert (found.files.edited, found.files.kits, found.derived) == ("e.onnx", [], [])
    case.write_text(TEXT.replace('["Dress", 7]', "7"), "utf-8")
    assert read_case(case).request.names == ("7",)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("[request]", "[request", "cannot be read as TOML: "),
        ('id = "DSR-1"', 'id = ""', "request.id: String should have at least 1 character"),
        ("received =", '"re\\nceived" =', "request.received: Field required"),
        ('"Ana"', "1", "signed_by.0.name: Input should be a valid string"),
        ('edited = "e.onnx"', 'edited = "e"\n"a\\tb" = 1', "files.a\ufffdb: Extra inputs"),
        (
            "completed = 2026-03-02", "completed = 2026-03-01",
            "request: Value error, completed on 2026-03-01, before it was received on 2026-03-02",
        ),
    ],
)  # fmt: skip
def test_a_wrong_key_is_named(old: str, new: str, reason: str, case: Path) -> None:
    assert old in TEXT
    case.write_text(TEXT.replace(old, new), "utf-8")
    error = assert_refuses(lambda: read_case(case), str(case), reason)
    assert error.remedy == "See the annotated example in docs/how-to/dossier.md."


def test_content_of_no_key_is_named() -> None:
    error = _refuse(Path("a.toml"), {"loc": (), "msg": "no"})
    assert error.reason == "a.toml: its content: no"


def test_a_case_that_is_not_there(case: Path) -> None:
    error = assert_refuses(
        lambda: read_case(case / "none"), "none cannot be read as TOML: Not a directory"
    )
    assert error.remedy == "See the annotated example in docs/how-to/dossier.md."
