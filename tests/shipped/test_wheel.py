"""The wheel and the sdist hold the package and nothing else, and work without the checkout."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import nhle_onnx
from support import ROOT
from support.shipped import LENET, SAMPLES

PACKAGE = ROOT / "toolkit" / "nhle_onnx"
CARRIED = ("py.typed", ".html", "runners/verify.py", "web/manifest.json")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was made from it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


def list_tracked() -> set[str]:
    """The package's files, without what tools leave behind."""
    return {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and ".mypy_cache" not in path.parts
    }


def test_the_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    info = f"nhle_onnx-{nhle_onnx.__version__}.dist-info/"
    assert {name for name in names if not name.startswith(info)} == list_tracked()
    assert f"{info}licenses/LICENSE" in names
    for carried in CARRIED:
        assert any(carried in name for name in names), carried


def test_the_sdist_holds_no_tests_models_or_benchmarks(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = [name.split("/", 1)[1] for name in archive.getnames()]
    own = {"PKG-INFO", "README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", ".gitignore"}
    assert set(names) == {f"toolkit/{name}" for name in list_tracked()} | own


def test_it_works_without_the_checkout(built: Path, tmp_path: Path) -> None:
    """In an environment of its own, with this one's dependencies and not its package."""
    environment = tmp_path / "environment"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True
    )  # fmt: skip
    (site,) = environment.glob("lib/python*/site-packages")
    (wheel,) = built.glob("*.whl")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-compile",
         "--target", str(site), str(wheel)],
        check=True, capture_output=True,
    )  # fmt: skip
    # the folder of the dependencies, without the .pth files that lead to the checkout
    dependencies = os.path.dirname(os.path.dirname(pytest.__file__))  # noqa: PTH120
    (site / "dependencies.pth").write_text(dependencies)
    folder = tmp_path / "elsewhere"
    shutil.copytree(LENET.parent, folder / "model")
    shutil.copytree(SAMPLES, folder / "calibration_samples" / "model")

    def run(*arguments: str) -> str:
        variables = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
        done = subprocess.run(
            [environment / "bin" / "python", *arguments],
            cwd=folder, env=variables, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode in {0, 1}, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    assert run("-c", "import nhle_onnx; print(nhle_onnx.__file__)").startswith(str(site))
    program = ("-m", "nhle_onnx")
    assert nhle_onnx.__version__ in run(*program, "--version")
    found = json.loads(run(*program, "inspect", "model/model.onnx", "--json"))
    assert found["unlearn"]["nhle-cwm"]
    report = json.loads(
        run(
            *program, "unlearn", "model/model.onnx", "--forget", "Dress", "--steps", "3",
            "--report", "page.html", "--json",
        )
    )  # fmt: skip
    assert report["after"]["acc_f"] == 0.0
    assert (folder / "model" / "model.unlearned.onnx").is_file()
    assert "</html>" in (folder / "page.html").read_text("utf-8")
