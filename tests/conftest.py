"""Shipped models and samples, one unlearned LeNet-5, and small models made for a purpose."""

import contextlib
import io
import json
import os
import pickle
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from nhle_onnx.cli.main import run
from nhle_onnx.values.settings.patch import ApplySettings, CreateSettings
from nhle_onnx.workflows.patch_apply import apply_patch_file
from nhle_onnx.workflows.patch_create import create_patch

ROOT = Path(__file__).resolve().parents[1]
LENET = ROOT / "models" / "lenet5_fashion_mnist" / "model.onnx"
MOBILENET = ROOT / "models" / "mobilenetv3_small_fashion_mnist" / "model.onnx"
MOBILENET_INT8 = ROOT / "models" / "mobilenetv3_small_int8_fashion_mnist" / "model.onnx"
SAMPLES = ROOT / "calibration_samples" / "fashion_mnist"
EVALUATION = SAMPLES / "evaluation.npz"
LARGEST_PATCHED_BYTES = 2**22  # others take seconds to compress, and are tested on their own

# How fast a machine is, and what else it does, is nothing that a test may fail of.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

# A shell's background job ignores interrupts, and so would what it starts.
_INTERRUPTIBLE = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "os.execv(sys.executable, [sys.executable, '-m', 'nhle_onnx', *sys.argv[1:]])"
)


class Result(NamedTuple):
    """What a run of the program left."""

    code: int
    out: str
    err: str


class Unlearned(NamedTuple):
    """An original, its edited file and report, and what the command printed."""

    original: Path
    edited: Path
    report: dict[str, Any]
    shown: str


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Networks this small leave a second thread of torch nothing to do but wait."""
    import torch  # noqa: PLC0415 - slow, and most tests do without

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_interruptible(*arguments: object) -> list[str]:
    """The command of a process of its own that heeds SIGINT."""
    return [sys.executable, "-c", _INTERRUPTIBLE, *map(str, arguments)]


@pytest.fixture
def nhle(capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run the program in this process."""

    def call(*arguments: object) -> Result:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Result(code, captured.out, captured.err)

    return call


def unlearn(model: Path, out: Path, *flags: str) -> Unlearned:
    """Run `unlearn` and read its report."""
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        run(["unlearn", str(model), "--out", str(out), "--quiet", *flags])
    report = json.loads(out.with_suffix(".report.json").read_text("utf-8"))
    if out.stat().st_size < LARGEST_PATCHED_BYTES:
        assert_patched(model, out)
    return Unlearned(model, out, report, shown.getvalue())


def assert_patched(base: Path, edited: Path) -> None:
    """Whatever the tool edits, a patch gives it back byte for byte."""
    with tempfile.TemporaryDirectory() as name:
        patch, made = Path(name) / "p.nhlepatch", Path(name) / edited.name
        create_patch(CreateSettings(base=base, edited=edited, out=patch))
        container = apply_patch_file(ApplySettings(base=base, patch=patch, out=made))
        for file in container.manifest.result:
            assert (
                made.with_name(file.name).read_bytes() == edited.with_name(file.name).read_bytes()
            )


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


@pytest.fixture
def lenet_copy(tmp_path: Path) -> Path:
    """LeNet-5 with its sidecars in a folder of its own, far from any samples."""
    folder = tmp_path / "model_folder"
    folder.mkdir()
    for name in ("model.onnx", "labels.txt", "preprocessor_config.json"):
        shutil.copy(LENET.with_name(name), folder)
    return folder / "model.onnx"
