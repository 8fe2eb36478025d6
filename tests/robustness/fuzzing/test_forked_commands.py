"""The study of hostile files in small: whole commands in processes of their own, and the judge."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from support.fuzzing.cases import Case, draw_files
from support.fuzzing.chunks import Chunk, try_chunks
from support.fuzzing.commands import ON_MODELS
from support.fuzzing.data_files import write_data_seeds
from support.fuzzing.forked import Run
from support.fuzzing.seeds import MODEL, SAMPLES, read_seeds
from support.fuzzing.verdicts import list_complaints, name_outcome, take_stock
from support.shipped import LENET

INSPECT = ON_MODELS[0]
MASK = next(command for command in ON_MODELS if command.name == "unlearn --method cwm")


def make_run(code: int, *, out: str = "", err: str = "", seconds: float = 1) -> Run:
    return Run(
        code=code, out=out, err=err, elapsed_s=seconds, processor_s=seconds, peak_bytes=2**20
    )


def test_commands_on_changed_models_give_no_complaint(tmp_path: Path) -> None:
    seed = tmp_path / "models" / "lenet5"
    seed.mkdir(parents=True)
    shutil.copy(LENET, seed)
    images = np.random.default_rng(0).random((20, 1, 28, 28), np.float32)
    np.savez(seed / "data.npz", x=images, y=np.arange(20) % 10)
    chunk = Chunk(part="models", first=0, count=len(ON_MODELS), seed=1)
    (row,) = try_chunks([chunk], tmp_path, tmp_path / "kept", workers=1)
    assert row["findings"] == []
    assert row["outcomes"].keys() == {command.name for command in ON_MODELS}
    assert sum(sum(found.values()) for found in row["outcomes"].values()) == len(ON_MODELS)


def test_commands_on_changed_data_give_no_complaint(tmp_path: Path) -> None:
    write_data_seeds(tmp_path)
    chunk = Chunk(part="tars", first=0, count=1, seed=1)
    (row,) = try_chunks([chunk], tmp_path, tmp_path / "kept", workers=1)
    assert row["findings"] == []
    assert row["outcomes"].keys() == {"verify"}


@pytest.mark.parametrize("part", SAMPLES)
def test_changed_data_differ_from_the_good(part: str, tmp_path: Path) -> None:
    write_data_seeds(tmp_path)
    seeds = read_seeds(tmp_path / part)
    assert len(seeds) >= 2
    drawn = [draw_files(Case(part=part, number=number), seeds) for number in range(20)]  # type: ignore[arg-type]
    changed = [files for seed, files in drawn if any(seed.files[k] != v for k, v in files.items())]
    assert len(changed) >= 15
    assert all(files.keys() == seed.files.keys() - {MODEL} for seed, files in drawn)


@pytest.mark.parametrize(
    ("run", "complaint"),
    [
        (make_run(0, out="all is well\n"), None),
        (make_run(3, err="error: it is hostile\nremedy: leave it\n"), None),
        (make_run(1, err="Traceback (most recent call last):\nKeyError: 'x'\n"), "traceback"),
        (make_run(70), "exit code 70"),
        (make_run(-11), "exit code -11"),
        (make_run(2), "exit code 2"),
        (make_run(3, err="error: a\nerror: b\n"), "2 lines of error"),
        (make_run(4), "0 lines of error"),
        (make_run(0, out="\x1b[2J"), "control characters"),
        (make_run(0, seconds=11), "processor time"),
        (make_run(3, err="error: x took longer than 60 seconds\n"), "until it was stopped"),
    ],
)
def test_what_is_complained_of(run: Run, complaint: str | None, tmp_path: Path) -> None:
    complaints = list(list_complaints(INSPECT, run, tmp_path, take_stock(tmp_path)))
    assert len(complaints) == (complaint is not None), complaints
    assert complaint is None or complaint in complaints[0]


def test_files_that_are_changed_or_left(tmp_path: Path) -> None:
    model, report = tmp_path / "model.onnx", tmp_path / "out" / "made.report.json"
    report.parent.mkdir()
    model.write_bytes(b"model")
    before = take_stock(tmp_path)
    report.write_bytes(b"report")
    refused = make_run(3, err="error: x\n")
    assert list(list_complaints(MASK, make_run(0), tmp_path, before)) == []
    assert list(list_complaints(MASK, refused, tmp_path, before)) == [
        "out/made.report.json was left"
    ]
    model.write_bytes(b"other")
    assert "model.onnx was changed" in list_complaints(MASK, make_run(0), tmp_path, before)


def test_a_crash_that_isolation_contains_is_told_apart() -> None:
    crash = "error: working on model.onnx crashed the process that did it: Segmentation fault\n"
    assert name_outcome(make_run(3, err=crash)) == "crash contained"
    assert name_outcome(make_run(3, err="error: it is hostile\n")) == "refused"
