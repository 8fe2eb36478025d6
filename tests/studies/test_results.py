import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from studies import results, tables

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


def test_a_run_that_was_ended_early_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it was, outside the pages; a line that was cut off is measured again."""
    monkeypatch.setattr(results, "RESULTS", tmp_path / "published")
    monkeypatch.setattr(results, "UNFINISHED", tmp_path / "unfinished")
    published, first, second = ({"forget": str(index)} for index in range(3))
    results.write_results("study", "Title", "body", [published])
    with contextlib.suppress(KeyboardInterrupt), results.resume("study") as kept:
        assert kept.rows == [published]
        kept.add(first)
        kept.add(second)
        raise KeyboardInterrupt
    assert results.read_rows("study") == [published]
    (path,) = results.UNFINISHED.iterdir()
    path.write_bytes(path.read_bytes()[:-3])
    with results.resume("study") as kept:
        assert kept.rows == [published, first]
        kept.add(second)
        assert len(path.read_text("ascii").splitlines()) == 3
    assert not path.exists()


def test_fresh_rows_take_the_place_of_those_that_are_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path / "published")
    monkeypatch.setattr(results, "UNFINISHED", tmp_path / "unfinished")
    results.write_results("study", "Title", "body", ROWS)
    with results.resume("study", fresh=True) as kept:
        assert kept.rows == []
    with results.resume("study", fresh=True, chosen=lambda row: row["forget"] == "3") as kept:
        assert kept.rows == ROWS[1:]


def test_unfinished_runs_are_outside_the_checkout() -> None:
    code = "from studies import results; print(results.UNFINISHED)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "XDG_CACHE_HOME": "/somewhere"},
    ).stdout  # fmt: skip
    assert found.startswith("/somewhere/nhle-onnx/studies/")


def test_every_published_file_of_rows_can_be_read() -> None:
    names = sorted(path.stem for path in results.RESULTS.glob("*.jsonl"))
    assert "limits" in names
    assert all(results.read_rows(name) for name in names)


def test_no_published_table_is_wider_than_a_page() -> None:
    """A table that was made before tables were divided is divided by hand."""
    for page in results.RESULTS.glob("*.md"):
        lines = [line for line in page.read_text("utf-8").splitlines() if line.startswith("| ")]
        assert all(line.count(" | ") < tables.WIDEST for line in lines), page.name
