"""The program as a function, and shipped models after it ran on them."""

import os
import pickle
import shutil
import socket
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from nhle_onnx.cli.main import run
from support.runs import Nhle, Result, Unlearned, unlearn
from support.shipped import LENET, MOBILENET, copy_sidecars

# How fast a machine is, and what else it does, is nothing that a test may fail of.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Networks this small leave a second thread of torch nothing to do but wait."""
    import torch  # noqa: PLC0415 - slow, and most tests do without

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a connection is tried."""
    import_module("torch")  # defines classes of sockets, which nothing may then stand in for

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("the network was used")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)


@pytest.fixture
def nhle(capfd: pytest.CaptureFixture[str]) -> Nhle:
    """Run the program in this process."""

    def call(*arguments: object) -> Result:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Result(code, captured.out, captured.err)

    return call


def unlearn_once(model: Path, factory: pytest.TempPathFactory) -> Unlearned:
    """`--forget 3`, by one of pytest-xdist's processes for all of them."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / f"unlearned_{model.parent.name}"
    kept = folder / "unlearned.pickle"
    with FileLock(folder.with_suffix(".lock")):
        if not kept.exists():
            folder.mkdir(exist_ok=True)
            kept.write_bytes(pickle.dumps(unlearn(model, folder / "edited.onnx", "--forget", "3")))
    unlearned: Unlearned = pickle.loads(kept.read_bytes())  # noqa: S301 - ours
    return unlearned


@pytest.fixture(scope="session")
def unlearned_lenet(tmp_path_factory: pytest.TempPathFactory) -> Unlearned:
    """LeNet-5 after `--forget 3`."""
    return unlearn_once(LENET, tmp_path_factory)


@pytest.fixture(scope="session")
def unlearned_mobilenet(tmp_path_factory: pytest.TempPathFactory) -> Unlearned:
    """MobileNetV3-Small after `--forget 3`."""
    return unlearn_once(MOBILENET, tmp_path_factory)


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LeNet-5 with class 3 masked."""
    out = tmp_path_factory.mktemp("masked") / "edited.onnx"
    unlearn(LENET, out, "--forget", "3", "--method", "cwm")
    return out


@pytest.fixture
def lenet_copy(tmp_path: Path) -> Path:
    """LeNet-5 with its sidecars in a folder of its own, far from any samples."""
    folder = tmp_path / "model_folder"
    folder.mkdir()
    copy_sidecars(folder)
    return Path(shutil.copy(LENET, folder))
