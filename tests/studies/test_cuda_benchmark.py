"""The script for a machine with a GPU, without one: a dry run of all of it, and its guards."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.cuda import command, machine
from benchmarks.cuda.place import Place, judge
from benchmarks.cuda.programs import shorten_paths
from studies import results
from studies.tables import Row


def test_each_step_runs_on_the_cpu_in_a_dry_run() -> None:
    done = CliRunner().invoke(command.cuda, ["--dry-run"])
    assert done.exit_code == 0, done.exception
    assert done.stdout.startswith("A dry run on the CPU. ")
    assert "failed:" not in done.stdout
    for name in command._STEPS:
        assert f"## {name}\n" in done.stdout


def test_a_step_that_fails_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def fall(_: Place) -> Iterator[Row]:
        yield judge("begun", 1, "=", 1)
        message = "a kernel is missing"
        raise RuntimeError(message)

    steps = {"fall": command._Part(fall, 1), "stand": command._Part(_stand, 1)}
    monkeypatch.setattr(command, "_STEPS", steps)
    text = CliRunner().invoke(command.cuda, ["--dry-run"]).stdout
    assert "2 of 3 limits are met" in text
    assert "| the rest, not run | failed: RuntimeError: a kernel is missing | works | NO |" in text
    assert "| stood | 2 | ≥ 1 | yes |" in text


def test_a_step_that_hangs_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    code = """print('{"what": "begun"}', flush=True); import time; time.sleep(60)"""
    monkeypatch.setattr(command, "_CHILD", (sys.executable, "-c", code))
    begun, rest = command._isolate("machine", 0.5)
    assert begun == {"what": "begun"}
    assert "stopped after" in rest["value"]
    assert rest["met"] == "NO"


def test_without_a_gpu_the_page_says_that_nothing_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(machine, "find_device_fault", lambda _: "it finds no such device")
    assert CliRunner().invoke(command.cuda, []).exit_code == 0
    rows = results.read_rows("cuda")
    assert {row["value"] for row in rows} == {"not run: it finds no such device"}
    assert [row["step"] for row in rows] == list(command._STEPS)


def test_a_chosen_step_keeps_the_others_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    earlier = [{"step": name, **judge("worked", 1, "=", 1)} for name in ("machine", "forms")]
    results.write_results("cuda", "On a GPU", "", earlier)
    monkeypatch.setattr(machine, "find_device_fault", lambda _: "it finds no such device")
    assert CliRunner().invoke(command.cuda, ["--step", "forms"]).exit_code == 0
    kept, measured = results.read_rows("cuda")
    assert kept == earlier[0]
    assert measured["value"].startswith("not run")


def _stand(_: Place) -> Iterator[Row]:
    yield judge("stood", 2, "≥", 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("verify /a/b/new.onnx --data /c/d --mean 1/255", "verify new.onnx --data d --mean 1/255"),
        ('File "/a/b/measure.py", line 4', 'File "measure.py", line 4'),
        ("error: '/a b' and data/x.npz", "error: 'a b' and data/x.npz"),
    ],
)
def test_what_a_command_says_names_no_folder_of_this_machine(text: str, expected: str) -> None:
    assert shorten_paths(text) == expected


def test_no_page_of_results_names_a_folder_of_a_machine() -> None:
    """Those of others' builds, in messages of their libraries, are no machine of ours."""
    built = ("/onnxruntime_src/", "/pytorch/", "/__w/")
    found = [
        f"{path.name}: {place}"
        for path in (results.ROOT / "docs" / "results").glob("*.*")
        if path.suffix in {".md", ".jsonl"}
        for place in re.findall(
            r"""(?<![^\s"'`(=])/(?:[\w.-]+/)+[\w-]+\.\w+""", path.read_text("utf-8")
        )
        if not place.startswith(built)
    ]
    assert found == []
