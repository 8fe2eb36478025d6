"""A real cluster of two nodes on this machine: the figures are those of one process, and a killed
worker loses nothing.
"""

import json
import os
import re
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from nhle_onnx.engines.choose import open_engine
from support import TESTS, jobs
from support.datasets import FORMS, read_samples
from support.runs import Nhle, Result
from support.shipped import LENET, SAMPLES

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

STORE_BYTES = 10**8
DEFAULT = {"tars"}  # the folder is that of the killed actor


@pytest.fixture(scope="module")
def cluster() -> Iterator["Cluster"]:
    """Two nodes of one core each. All that Ray writes goes to a folder of a short name, as it makes
    sockets there.
    """
    pytest.importorskip("ray")
    folder = Path(tempfile.mkdtemp(prefix="r", dir=tempfile.gettempdir()))
    (folder / "ray").mkdir()  # where Ray notes the cluster's address, without making the folder
    settings = {
        "RAY_TMPDIR": str(folder),
        "RAY_AUTH_MODE": "disabled",  # else it writes a token to the home folder
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
        "RAY_ADDRESS": "",
        "PYTHONPATH": str(TESTS),  # where workers find `support.jobs`
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        started = start_cluster(folder)
        try:
            yield started
        finally:
            started.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


def start_cluster(folder: Path) -> "Cluster":
    """Two nodes. Ray gives a node half a minute, which a busy machine may exceed."""
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - reads the settings

    node = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
    for attempts_left in (2, 1, 0):
        started = Cluster()
        try:
            started.add_node(**node, temp_dir=str(folder), include_dashboard=False)
            started.add_node(**node)
        except Exception:
            started.shutdown()
            if not attempts_left:
                raise
        else:
            return started
    raise AssertionError


@pytest.fixture
def ray_engine(cluster: "Cluster") -> str:
    return f"ray://{cluster.address}"


@pytest.mark.parametrize(
    "form",
    [form if form in DEFAULT else pytest.param(form, marks=pytest.mark.slow) for form in FORMS],
)
def test_figures_are_those_of_one_process(
    nhle: Nhle, tmp_path: Path, ray_engine: str, form: str
) -> None:
    data = FORMS[form](tmp_path, read_samples(120))
    command = ("verify", LENET, "--forget", 3, "--data", data, "--json")
    ours, theirs = nhle(*command), nhle(*command, "--engine", ray_engine)
    assert without_times(theirs) == without_times(ours)


def without_times(result: Result) -> dict[str, Any]:
    report = json.loads(result.out)
    del report["elapsed_s"]
    return report


def test_a_killed_actor_loses_nothing(nhle: Nhle, tmp_path: Path, ray_engine: str) -> None:
    data = FORMS["folder"](tmp_path, read_samples(120))
    command = ("verify", LENET, "--baseline", LENET, "--forget", 3, "--data", data, "--json")
    with Killer(r"ray::.*(MapWorker|Counter)") as killer:
        theirs = nhle(*command, "--engine", ray_engine)
    assert killer.killed
    assert without_times(theirs) == without_times(nhle(*command))


def test_a_killed_task_loses_nothing(nhle: Nhle, tmp_path: Path, ray_engine: str) -> None:
    fleet = tmp_path / "fleet.toml"
    fleet.write_text(
        f'[defaults]\nmodel = "{LENET}"\nsamples = "{SAMPLES}"\nmethod = "cwm"\n'
        "[[job]]\nforget = [[0], [1, 2], [3]]\n"
    )
    with Killer(r"ray::settle") as killer:
        result = nhle("fleet", fleet, "--engine", ray_engine, "--json")
    assert killer.killed
    report = json.loads(result.out)
    assert result.code == 0, result.err
    assert report["counts"] == {"passed": 3}
    assert report["workers"] == 2


def test_each_job_has_one_outcome(tmp_path: Path, ray_engine: str) -> None:
    kinds = {name: name for name in ("lost", "fine", "refused", "crashed")}
    markers = {name: tmp_path / name for name in "ab"}
    with open_engine(ray_engine) as engine:
        failed = {o.key: o.failure.kind for o in engine.run(jobs.misbehave, kinds, 1) if o.failure}
        done = [outcome.value for outcome in engine.run(jobs.die_once, markers, 1)]
    assert failed == {"lost": "lost", "refused": "refused", "crashed": "crashed"}
    assert sorted(done) == ["a", "b"]


def test_an_array_file_is_refused(nhle: Nhle, ray_engine: str) -> None:
    data = SAMPLES / "evaluation.npz"
    result = nhle("verify", LENET, "--forget", 3, "--data", data, "--engine", ray_engine)
    assert result.code == 3
    assert "--engine local or processes" in result.err


@pytest.mark.slow
def test_a_killed_node_loses_nothing(tmp_path: Path, cluster: "Cluster", ray_engine: str) -> None:
    """Its jobs are done again on the other."""
    third = cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
    go = tmp_path / "go"
    work = {str(index): go for index in range(3)}
    with open_engine(ray_engine) as engine:
        outcomes = engine.run(jobs.wait_for, work, 3)

        def kill_node() -> None:
            while len(list(tmp_path.glob("*.begun"))) < 3:
                time.sleep(0.1)
            cluster.remove_node(third, allow_graceful=False)
            go.touch()

        thread = threading.Thread(target=kill_node)
        thread.start()
        assert sorted(outcome.key for outcome in outcomes if outcome.value) == sorted(work)
        thread.join()


def test_a_cluster_that_is_not_there_is_refused(nhle: Nhle) -> None:
    command = ("verify", LENET, "--forget", 3, "--data", SAMPLES, "--engine")
    result = nhle(*command, "ray://127.0.0.1:1")
    assert result.code == 5
    assert "ray start --head" in result.err


class Killer:
    """Kills the first process whose title matches, once it is seen."""

    def __init__(self, title: str) -> None:
        self._title = re.compile(title)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.killed: int | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(0.02):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    title = file.read_text("utf-8", "replace")
                except OSError:
                    continue
                if self._title.match(title):
                    self.killed = int(file.parent.name)
                    os.kill(self.killed, signal.SIGKILL)
                    return
