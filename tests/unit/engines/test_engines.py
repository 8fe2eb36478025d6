"""Every engine gives each job one outcome, whatever becomes of the others."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from nhle_onnx.engines.choose import open_engine
from nhle_onnx.engines.engine import take_value
from nhle_onnx.errors import InputRefusedError, UsageError
from nhle_onnx.values.cores import count_cores
from support import TESTS, jobs
from support.processes import is_alive, wait_until
from support.shipped import LENET


@pytest.mark.parametrize("name", ["local", "processes"])
def test_every_job_has_its_value(name: str) -> None:
    with open_engine(name, 2) as engine:
        outcomes = engine.run(jobs.square, {str(n): n for n in range(9)}, 0)
        assert {o.key: o.value for o in outcomes} == {str(n): n * n for n in range(9)}


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    models = dict.fromkeys("abcd"[: 2 * workers], LENET)
    with open_engine("processes", workers) as engine:
        counts = {take_value(done) for done in engine.run(jobs.count_threads, models, 0)}
    assert counts == {max(1, count_cores() // workers)}


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    markers = {name: tmp_path / name for name in "abcd"}
    with open_engine("processes", 2) as engine:
        outcomes = list(engine.run(jobs.die_once, markers, 1))
    assert sorted(take_value(outcome) for outcome in outcomes) == list("abcd")


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_processes_that_were_all_killed_lose_nothing_and_complain_of_nothing(
    tmp_path: Path,
) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from support import jobs; from pathlib import Path;"
        "from nhle_onnx.engines.processes import Processes;"
        "work = {name: Path(sys.argv[2], name) for name in 'ab'};"
        "print(*sorted(o.value for o in Processes(1).run(jobs.kill_all_once, work, 1)))"
    )
    command = [sys.executable, "-c", program, TESTS, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("a b\n", "")


def test_each_failure_is_its_own() -> None:
    kinds = {name: name for name in ("lost", "fine", "refused", "crashed", "also fine")}
    with open_engine("processes", 2) as engine:
        outcomes = {o.key: o for o in engine.run(jobs.misbehave, kinds, 1)}
    assert {k: o.failure.kind for k, o in outcomes.items() if o.failure} == {
        "lost": "lost", "refused": "refused", "crashed": "crashed"
    }  # fmt: skip
    assert {o.value for o in outcomes.values() if not o.failure} == {"fine", "also fine"}
    with pytest.raises(InputRefusedError, match="no such file") as refused:
        take_value(outcomes["refused"])
    assert refused.value.remedy == "Look again."
    with pytest.raises(RuntimeError, match="ZeroDivisionError: a bug"):
        take_value(outcomes["crashed"])


def test_what_cannot_be_sent_is_a_failure_too() -> None:
    with open_engine("processes", 1) as engine:
        work = {"bad": lambda: 0, "good": 3}
        outcomes = {o.key: o for o in engine.run(jobs.square, work, 0)}
    assert outcomes["bad"].failure.kind == "crashed"
    assert outcomes["good"].value == 9


def read_begun(folder: Path) -> list[int]:
    return [int(file.name.split(".")[-2]) for file in folder.glob("*.begun")]


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
@pytest.mark.parametrize("how", ["closed", "parent killed"])
def test_no_worker_outlives_its_engine(tmp_path: Path, how: str) -> None:
    if how == "closed":
        with open_engine("processes", 1) as engine:
            work = {"quick": tmp_path / "quick", "endless": tmp_path / "endless"}
            work["quick"].touch()
            with closing(engine.run(jobs.wait_for, work, 0)) as outcomes:
                next(outcomes)
                wait_until(lambda: len(list(tmp_path.glob("endless.*"))) == 1)
    else:
        program = (
            "import sys; sys.path.insert(0, sys.argv[1]);"
            "from support import jobs; from pathlib import Path;"
            "from nhle_onnx.engines.processes import Processes;"
            "list(Processes(1).run(jobs.wait_for, {'a': Path(sys.argv[2])}, 0))"
        )
        command = [sys.executable, "-c", program, str(TESTS), tmp_path / "endless"]
        with subprocess.Popen(command) as parent:
            wait_until(lambda: bool(read_begun(tmp_path)))
            os.kill(parent.pid, signal.SIGKILL)
    workers = read_begun(tmp_path)
    wait_until(lambda: not any(map(is_alive, workers)))


@pytest.mark.parametrize("name", ["rays", "ray:", "ray://", "spark", ""])
def test_an_unknown_engine_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="no engine"), open_engine(name):
        pass
