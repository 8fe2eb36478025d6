"""SIGKILL at any moment: outputs are absent or whole, inputs as they were, nothing left over."""

import json
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from nhle_onnx.graph.save import write_files
from support.fault_jobs import Job, make_jobs
from support.faults import SIGNALS, count_kills, kill_jobs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the harness reads Linux' /proc")

# Puts three files into place, and dies before the n-th call that changes the folder.
WRITER = """
import os, signal, sys
from pathlib import Path
import nhle_onnx.graph.save as save

calls, folder, force = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "force"
if sys.argv[4] == "named":
    save._DESCRIPTORS = Path("/nowhere")

def dies(function):
    def call(*arguments, **values):
        global calls
        calls -= 1
        if calls == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **values)
    return call

for name in ("link", "unlink", "rename", "replace"):
    setattr(os, name, dies(getattr(os, name)))
save.write_files(
    {folder / name: b"new " + name.encode() for name in ("report", "model", "page")},
    force=force, commit_marker=folder / "report",
)
"""


def write_and_die(call: int, folder: Path, force: str, named: str) -> int:
    command = [sys.executable, "-c", WRITER, str(call), str(folder), force, named]
    return subprocess.run(command, check=False).returncode


@pytest.mark.parametrize("named", ["nameless", "named"])
@pytest.mark.parametrize("force", ["force", "keep"])
def test_killed_between_two_files(tmp_path: Path, force: str, named: str) -> None:
    """The report is there only with all the rest, and all files are of one run."""
    seen = set()
    for call in range(1, 30):
        folder = tmp_path / f"{call}"
        folder.mkdir()
        if force == "force":
            for name in ("report", "model", "page"):
                (folder / name).write_text(f"old {name}")
        code = write_and_die(call, folder, force, named)
        found = {path.name: path.read_text() for path in folder.iterdir() if path.suffix != ".part"}
        ages = {content.split()[0] for content in found.values()}
        assert found == {name: f"{found[name].split()[0]} {name}" for name in found}
        if "report" in found:
            assert len(found) == 3
            assert len(ages) == 1
        if named == "nameless" and force == "keep":
            assert len(list(folder.iterdir())) == len(found)
        seen.add(frozenset(found))
        if code == 0:
            assert ages == {"new"}
            break
        assert code == -signal.SIGKILL
        write_files({folder / name: name.encode() for name in found}, force=True)
    assert code == 0
    assert frozenset({"model", "page", "report"}) in seen
    assert frozenset({"model", "page"}) in seen


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("killed")


@pytest.fixture(scope="module")
def jobs(scratch: Path) -> list[Job]:
    """Those that write; the others are killed by `python -m tools hostile`."""
    return list(islice(make_jobs(scratch), 7))


def test_killed_commands_leave_whole_outputs_or_none(jobs: list[Job], scratch: Path) -> None:
    kills = list(kill_jobs(jobs, range(len(jobs)), 1, scratch))
    assert [kill for kill in kills if kill.faults or kill.leftovers] == []
    assert {kill.signal for kill in kills} == {*SIGNALS}
    rows = count_kills(kills)
    assert {row["command"]: row["kills"] for row in rows} == {
        "unlearn --method cwm": 1, "patch create": 1, "patch apply": 1, "sign": 1, "kit": 1,
        "patch apply --also ort": 1, "unlearn": 1,
    }  # fmt: skip


def test_the_harness_sees_what_is_not_whole(jobs: list[Job], scratch: Path) -> None:
    """A report of another model, half a model: each would count as a fault."""
    job, made = jobs[0], scratch / jobs[0].name
    model, report = made / "edited.onnx", made / "edited.report.json"
    assert job.checks[model.name](model)
    assert job.checks[report.name](report)
    model.write_bytes(model.read_bytes()[:-1])
    assert not job.checks[model.name](model)
    assert not job.checks[report.name](report)
    report.write_text(json.dumps({"edited": {}}))
    assert not job.checks[report.name](report)
