import json
from pathlib import Path

import pytest

from studies import results

ROWS = [{"forget": "3", "ΔAcc_R": -0.1 - 0.2}, {"forget": "0,4", "ΔAcc_R": None}]


def test_rows_are_read_as_they_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    assert results.read_rows("study") == []
    results.write_results("study", "Title", "body", ROWS)
    assert results.read_rows("study") == ROWS
    assert [list(row) for row in results.read_rows("study")] == [list(row) for row in ROWS]


def test_a_file_of_rows_says_how_it_was_made_and_has_a_line_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    results.write_results("study", "Title", "body", ROWS)
    made, *rows = map(json.loads, (tmp_path / "study.jsonl").read_text("utf-8").split("\n")[:-1])
    assert list(made) == ["made"]
    assert {"command", "date", "tool", "machine"} <= set(made["made"])
    assert rows == ROWS
    assert (tmp_path / "study.md").read_text("utf-8").startswith("# Title\n\nbody\n")


def test_every_published_file_of_rows_can_be_read() -> None:
    names = sorted(path.stem for path in results.RESULTS.glob("*.jsonl"))
    assert "limits" in names
    assert all(results.read_rows(name) for name in names)
