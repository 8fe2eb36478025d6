"""fleet: many jobs, resumed where they were stopped, each judged on its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nhle_onnx.cli.fleet_file import read_fleet
from support.reports import FLEET
from support.runs import Nhle, make_interruptible
from support.shipped import LENET, SAMPLES, copy_sidecars, put_weights

DEFAULTS = f'[defaults]\nsamples = "{SAMPLES}"\nmethod = "cwm"\n'


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """LeNet-5 under a name of its own."""
    copy_sidecars(tmp_path)
    return Path(shutil.copy(LENET, tmp_path / "lenet.onnx"))


def write_fleet(folder: Path, *tables: str, defaults: str = DEFAULTS) -> Path:
    file = folder / "fleet.toml"
    file.write_text(defaults + "".join(f"[[job]]\n{table}\n" for table in tables))
    return file


def run_fleet(nhle: Nhle, file: Path, *flags: object) -> tuple[int, dict[str, Any]]:
    result = nhle("fleet", file, "--engine", "local", "--json", *flags)
    return result.code, json.loads(result.out)


def test_models_times_requests(nhle: Nhle, model: Path) -> None:
    shutil.copy(model, model.with_name("copy.onnx"))
    file = write_fleet(model.parent, 'models = ["*.onnx"]\nforget = [[3], ["Sneaker", 0]]')
    code, report = run_fleet(nhle, file)
    assert code == 0
    assert report["counts"] == {"passed": 4}
    asked = {(Path(job["model"]).name, tuple(job["forget"])) for job in report["jobs"]}
    assert asked == set(product(("copy.onnx", "lenet.onnx"), (("3",), ("Sneaker", "0"))))
    for job in report["jobs"]:
        folder = file.with_suffix("") / job["name"]
        own = json.loads((folder / "model.report.json").read_text("utf-8"))
        assert own["after"]["acc_f"] == job["record"]["acc_f"] == 0
        assert own["edited"]["sha256"] == job["record"]["edited"]
    assert json.loads((file.with_suffix("") / "summary.json").read_text("utf-8")) == report


def test_the_same_edit_as_unlearn_alone(nhle: Nhle, model: Path) -> None:
    file = write_fleet(model.parent, 'model = "lenet.onnx"\nforget = 3')
    _, report = run_fleet(nhle, file)
    alone = model.with_name("alone.onnx")
    nhle("unlearn", model, "--forget", 3, "--samples", SAMPLES, "--method", "cwm", "--out", alone)
    edited = file.with_suffix("") / report["jobs"][0]["name"] / "model.onnx"
    assert edited.read_bytes() == alone.read_bytes()


def list_kept(report: dict[str, Any]) -> list[bool]:
    return [job["kept"] for job in report["jobs"]]


def test_what_is_done_is_kept_and_what_changed_is_done_again(nhle: Nhle, model: Path) -> None:
    tables = ['model = "lenet.onnx"\nforget = 3', 'model = "lenet.onnx"\nforget = 4']
    file = write_fleet(model.parent, *tables)
    _, first = run_fleet(nhle, file)
    assert list_kept(first) == [False, False]
    assert list_kept(run_fleet(nhle, file)[1]) == [True, True]
    write_fleet(model.parent, tables[0], tables[1] + "\nmax-acc-f = 0.02")
    code, report = run_fleet(nhle, file)
    assert (code, list_kept(report)) == (0, [True, False])
    edited = file.with_suffix("") / report["jobs"][0]["name"] / "model.onnx"
    edited.write_bytes(edited.read_bytes()[:-1])
    assert list_kept(run_fleet(nhle, file)[1]) == [False, True]
    shutil.copy(model.with_name("labels.txt"), model.with_name("old.txt"))
    text = model.with_name("labels.txt").read_text("utf-8")
    model.with_name("labels.txt").write_text(text.replace("Bag", "Handbag"))
    assert list_kept(run_fleet(nhle, file)[1]) == [False, False]


def test_weights_beside_an_edited_model_count_as_done_only_whole(nhle: Nhle, model: Path) -> None:
    put_weights(model, "w.bin")
    file = write_fleet(model.parent, 'model = "lenet.onnx"\nforget = 3')
    _, report = run_fleet(nhle, file)
    assert list_kept(run_fleet(nhle, file)[1]) == [True]
    weights = file.with_suffix("") / report["jobs"][0]["name"] / "model.onnx.data"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert list_kept(run_fleet(nhle, file)[1]) == [False]
    weights.unlink()
    assert list_kept(run_fleet(nhle, file)[1]) == [False]
    assert weights.read_bytes() == content


def test_samples_count_by_their_content(nhle: Nhle, model: Path) -> None:
    arrays = {"x": np.full((20, 28, 28), 9, np.uint8), "y": np.arange(20) % 10}
    np.savez(model.with_name("s.npz"), **arrays)
    table = 'model = "lenet.onnx"\nforget = 3\nsamples = "s.npz"\nforce-unknown = true'
    file = write_fleet(model.parent, table)
    assert list_kept(run_fleet(nhle, file)[1]) == [False]
    assert list_kept(run_fleet(nhle, file)[1]) == [True]
    np.savez(model.with_name("s.npz"), **arrays | {"x": arrays["x"] + 1})
    assert list_kept(run_fleet(nhle, file)[1]) == [False]


def test_one_bad_job_harms_no_other_and_is_tried_again(nhle: Nhle, model: Path) -> None:
    away = model.with_name("away.onnx")
    file = write_fleet(model.parent, 'models = ["away.onnx", "lenet.onnx"]\nforget = 3')
    code, report = run_fleet(nhle, file)
    assert code == 3
    assert report["counts"] == {"refused": 1, "passed": 1}
    bad = report["jobs"][0]
    assert "away.onnx does not exist" in bad["reason"]
    log = file.with_suffix("") / bad["name"] / "error.txt"
    assert "away.onnx does not exist" in log.read_text("utf-8")
    shutil.copy(model, away)
    code, report = run_fleet(nhle, file)
    assert (code, list_kept(report)) == (0, [False, True])
    assert not log.exists()


def test_the_summary_shows_names_of_files_as_text(nhle: Nhle, model: Path) -> None:
    """It is Markdown, in which HTML would be HTML, and a line or a bar another cell."""
    odd = "<img src=x onerror=alert(1)>|`"
    file = write_fleet(model.parent, f'model = "{odd}.onnx"\nforget = 3')
    code, report = run_fleet(nhle, file)
    (job,) = report["jobs"]
    summary = (file.with_suffix("") / "summary.md").read_text("utf-8")
    assert (code, odd in job["reason"]) == (3, True)
    assert "<" not in summary
    assert "&lt;img src=x onerror=alert(1)&gt;\\|" in summary


def test_a_summary_names_models_by_their_place_beside_the_fleet_file(tmp_path: Path) -> None:
    """So that it says the same wherever the folder lies; what lies elsewhere keeps its path."""
    (tmp_path / "fleet").mkdir()
    tables = ('model = "m/a.onnx"\nforget = 3', f'model = "{tmp_path}/b.onnx"\nforget = 3')
    inside, outside = read_fleet(write_fleet(tmp_path / "fleet", *tables), tmp_path / "out")
    assert (inside.model, outside.model) == ("m/a.onnx", str(tmp_path / "b.onnx"))


def test_a_fleet_without_jobs_has_judged_nothing() -> None:
    nothing = replace(FLEET, jobs=(), counts={})
    assert (nothing.verdict, nothing.passed, nothing.exit_code) == ("not-judged", False, 6)
    interrupted = replace(nothing, interrupted=True)
    assert (interrupted.verdict, interrupted.exit_code) == ("failed", 1)


def test_a_failed_gate_is_a_result(nhle: Nhle, model: Path) -> None:
    table = 'model = "lenet.onnx"\nforget = 3\nmax-acc-r-drop = -0.5'
    file = write_fleet(model.parent, table)
    code, report = run_fleet(nhle, file)
    assert (code, report["counts"], report["passed"]) == (1, {"failed": 1}, False)
    assert list_kept(run_fleet(nhle, file)[1]) == [True]
    result = nhle("fleet", file, "--engine", "local")
    assert result.code == 1
    assert "failed (kept)" in result.out
    assert result.out.splitlines()[-1] == "FAILED"


def test_a_dry_run_checks_every_job_and_writes_nothing(nhle: Nhle, model: Path) -> None:
    tables = ['model = "lenet.onnx"\nforget = 3', 'models = ["away.onnx"]\nforget = 3']
    run_fleet(nhle, write_fleet(model.parent, tables[0]))
    file = write_fleet(model.parent, *tables, 'model = "lenet.onnx"\nforget = 4')
    before = sorted(model.parent.rglob("*"))
    result = nhle("fleet", file, "--dry-run")
    assert result.code == 3
    words = [line.split()[0] for line in result.out.splitlines()]
    assert words == ["kept", "refused", "ready", "Nothing"]
    assert "away.onnx does not exist" in result.out
    plan = json.loads(nhle("fleet", file, "--dry-run", "--json").out)
    assert [job["status"] for job in plan["jobs"]] == ["kept", "refused", "ready"]
    assert sorted(model.parent.rglob("*")) == before


def start_slow_fleet(folder: Path, *flags: str) -> tuple[Path, subprocess.Popen[str]]:
    """A job that is soon done, and one that is not."""
    file = write_fleet(
        folder,
        'model = "lenet.onnx"\nforget = 3',
        'model = "lenet.onnx"\nforget = 4\nmethod = "nhle-cwm"\nsteps = 100000',
    )
    command = make_interruptible("fleet", file, "--jobs", 2, *flags)
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(1200):
        if list(folder.glob("fleet/*/job.json")):
            return file, running
        time.sleep(0.05)
    running.kill()
    pytest.fail(running.communicate()[1])


def test_an_interrupt_keeps_what_is_done(nhle: Nhle, model: Path) -> None:
    file, running = start_slow_fleet(model.parent, "--json")
    time.sleep(1)  # the record is there before the fleet has heard of it
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "finished jobs are kept" in err
    assert "Traceback" not in err
    report = json.loads(out)
    assert report["interrupted"]
    assert [job["forget"] for job in report["jobs"]] == [["3"]]
    assert_resumes(nhle, file)


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_killed_at_any_moment_it_resumes(nhle: Nhle, model: Path) -> None:
    file, running = start_slow_fleet(model.parent)
    os.kill(running.pid, signal.SIGKILL)
    running.communicate()
    assert_resumes(nhle, file)


def assert_resumes(nhle: Nhle, file: Path) -> None:
    write_fleet(file.parent, *(f'model = "lenet.onnx"\nforget = {c}' for c in (3, 4)))
    code, report = run_fleet(nhle, file)
    assert (code, list_kept(report)) == (0, [True, False])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[[job]", "cannot be read as TOML"),
        ("", "job"),
        ("[[job]]\nforget = 3", "job 1: it needs either model or models"),
        ('[[job]]\nmodel = "m.onnx"', "job 1: forget"),
        ('[[job]]\nmodel = "m.onnx"\nforget = []', "job 1: forget"),
        ('[[job]]\nmodel = "m.onnx"\nforget = 3.5', "job 1: forget"),
        ('[[job]]\nmodels = ["none*.onnx"]\nforget = 3', "none*.onnx"),
        ('[[job]]\nmodel = "m.onnx"\nforget = 3\nlearning-rate = 1', "learning-rate"),
        ('[[job]]\nmodel = "m.onnx"\nforget = 3\nout = "x.onnx"', "out is not a setting"),
        ('[[job]]\nmodel = "m.onnx"\nforget = 3\nlr = -1', "--lr': -1 is not positive"),
        ('[[job]]\nmodel = "m.onnx"\nforget = 3\nname = "../up"', "job 1: name"),
        ('[other]\n[[job]]\nmodel = "m.onnx"\nforget = 3', "other"),
        ('[[job]]\nmodel = "m.onnx"\nforget = [[3], [3]]', "repeats another job's request"),
    ],
)
def test_a_bad_file_is_refused_by_its_key(
    nhle: Nhle, tmp_path: Path, content: str, told: str
) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text(content)
    result = nhle("fleet", file)
    assert result.code == 2
    assert "fleet.toml" in result.err
    assert told in result.err
    assert not file.with_suffix("").exists()


def test_paths_are_relative_to_the_file_and_flags_are_as_on_the_command_line(
    tmp_path: Path,
) -> None:
    table = (
        'name = "eu"\nmodel = "a/../b/model.onnx"\nforget = ["x/y", 1]\neval_data = "e.npz"\n'
        'anchors = "pool"\nsteps = 5\nlr = "auto"\nmean = [0.5]\nseed = 7'
    )
    (job,) = read_fleet(write_fleet(tmp_path, table, defaults=""), tmp_path / "out")
    settings = job.settings
    assert settings.model == tmp_path / "b" / "model.onnx"
    assert job.model == "b/model.onnx"
    assert settings.forget == ("x/y", "1")
    assert settings.data == tmp_path / "e.npz"
    assert settings.anchors == str(tmp_path / "pool")
    assert settings.flags.preprocess.mean == (0.5,)
    options = settings.options
    assert (options.steps, options.lr, options.seed) == (5, None, 7)
    assert job.folder.parent == tmp_path / "out"
    assert job.name.startswith("eu-b-forget-x_y-1-")
