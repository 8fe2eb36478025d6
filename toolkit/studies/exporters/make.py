"""Files as exporters write them, each program in an environment that has what it imports."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from studies.datasets import Split, load_dataset
from studies.exporters.table import DATA, ROUTES, Cell, Route

_HERE = Path(__file__).parent
_MEAN, _STD, _BORDER = 0.286, 0.353, 2
_TEST = "test.npz"
_MADE = "made"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # of terminals, in exporters' messages


class NotMadeError(Exception):
    """A file, or the environment that would make it, could not be made; the message says why."""


def prepare_data(cache: Path, root: Path) -> None:
    """Write Fashion-MNIST as networks take it: [N, 32, 32], normalised."""
    if (cache / _TEST).is_file():
        return
    dataset = load_dataset("fashion_mnist", root)
    cache.mkdir(parents=True, exist_ok=True)
    for split, name in ((dataset.train, DATA), (dataset.test, _TEST)):
        np.savez(cache / name, x=normalise(split), y=split.labels)


def normalise(split: Split) -> np.ndarray:
    """Normalise images [N, 28, 28, 1] to [N, 32, 32], with a black border."""
    pixels = np.pad(split.images[..., 0], ((0, 0), (_BORDER, _BORDER), (_BORDER, _BORDER)))
    scaled: np.ndarray = ((pixels / 255 - _MEAN) / _STD).astype(np.float32)
    return scaled


def make_file(cell: Cell, cache: Path) -> Path:
    """Make the file of a cell, and all others of its network, unless the cache has them."""
    route = next(each for each in ROUTES if each.exporter == cell.exporter)
    path = run_route(route, cell.network, cache) / f"{cell.format}.onnx"
    if not path.is_file():
        reason = path.with_suffix(".txt")
        message = reason.read_text("utf-8") if reason.is_file() else "no file was written"
        raise NotMadeError(_COLOUR.sub("", message))
    return path


def run_route(route: Route, network: str, cache: Path) -> Path:
    """Return the folder of a network's files; what they are made from is made first."""
    folder = cache / route.exporter.replace(" ", "-") / network
    if (folder / _MADE).is_file():
        return folder
    given = route.given.format(network=network)
    maker = next((each for each in ROUTES if each.exporter == given.partition("/")[0]), None)
    if maker:
        run_route(maker, network, cache)
    folder.mkdir(parents=True, exist_ok=True)
    python = prepare_environment(route.environment, cache)
    program = _HERE / "programs" / f"{route.program}.py"
    _run(
        python, program, network, cache / given, folder, place=folder, is_own=not route.environment
    )
    (folder / _MADE).touch()
    return folder


def prepare_environment(name: str, cache: Path) -> Path:
    """Make a Python with the packages of a list, once for each version of the list."""
    if not name:
        return Path(sys.executable)
    packages = _HERE / f"{name}.txt"
    digest = hashlib.sha256(packages.read_bytes()).hexdigest()[:8]
    folder = cache / "environments" / f"{name}.{digest}"
    python = folder / "bin" / "python"
    if not (folder / _MADE).is_file():
        _run(Path(sys.executable), "-m", "venv", "--clear", folder)
        _run(python, "-m", "pip", "install", "--quiet", "--requirement", packages)
        (folder / _MADE).touch()
    return python


def _run(python: Path, *arguments: object, place: Path | None = None, is_own: bool = False) -> None:
    """Run in a folder, as some tools leave files where they run."""
    variables = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    if not is_own:
        variables.pop("PYTHONPATH", None)
    command = [str(python), *map(str, arguments)]
    done = subprocess.run(
        command, cwd=place, env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        raise NotMadeError(lines[-1][:300])
