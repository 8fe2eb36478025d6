"""Every hostile file of the catalogue: one message, or no harm; and nothing else moves."""

import json
import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from support.hostile import CASES
from support.hostile.attempts import try_all
from support.hostile.case import OUT, Attempt, HostileFile, read_base
from support.runs import Nhle, Result
from support.shipped import LENET

DANGEROUS = [case for case in CASES if case.is_dangerous]
HARMLESS = [case for case in CASES if not case.is_dangerous]

pytestmark = pytest.mark.usefixtures("no_network")
OUTPUTS = {"edited.onnx", "edited.report.json"}


def list_tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything below a folder, with what a write would change."""
    return {
        os.fspath(path): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in folder.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }


def check_attempt(attempt: Attempt, folder: Path, result: Result) -> None:
    shown = result.out + result.err
    assert result.code in attempt.codes, shown[-2000:]
    assert "Traceback" not in shown
    assert {mark for mark in shown if unicodedata.category(mark)[0] == "C"} <= {"\n"}
    assert len(shown) < 20_000
    if attempt.codes == (3,) or result.code in {3, 4}:
        lines = result.err.splitlines()
        assert sum(line.startswith("error:") for line in lines) == 1
        assert sum(line.startswith("remedy:") for line in lines) == 1
        assert len(lines) == 2, result.err
        assert list((folder / OUT).iterdir()) == []
    if "--json" in attempt.command and result.code == 0:
        json.loads(result.out)
    assert attempt.says in shown, shown[-2000:]


@pytest.fixture(scope="module")
def tried() -> dict[str, dict[str, Any]]:
    """What came of those that may block or take all memory, in processes that can do neither."""
    return {row["name"]: row for row in try_all([case.name for case in DANGEROUS])}


@pytest.mark.parametrize("case", DANGEROUS, ids=lambda case: case.name)
def test_a_dangerous_file_neither_blocks_nor_takes_memory(
    case: HostileFile, tried: dict[str, dict[str, Any]]
) -> None:
    assert tried[case.name]["complaints"] == []


@pytest.mark.parametrize("case", HARMLESS, ids=lambda case: case.name)
def test_a_hostile_file_is_refused_or_harmless(
    case: HostileFile, tmp_path: Path, nhle: Nhle
) -> None:
    folder = tmp_path / "files"
    (folder / OUT).mkdir(parents=True)
    case.build(folder, read_base(LENET))
    before = list_tree(tmp_path)
    for attempt in case.attempts:
        command = [part.format(folder=folder) for part in attempt.command]
        check_attempt(attempt, folder, nhle(*command))
        written = {path for path in list_tree(tmp_path).items() if path not in before.items()}
        assert {Path(path).name for path, _ in written} <= OUTPUTS
        assert {Path(path).parent for path, _ in written} <= {folder / OUT}


def test_names_tell_cases_apart() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 60
