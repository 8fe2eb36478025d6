"""How soon the program answers, compared with its unavoidable imports."""

import os
import statistics
import sys
from functools import partial
from pathlib import Path

from benchmarks.speed.rows import make_row, measure_in_turn, take_median_ratio, time_command
from benchmarks.speed.subjects import SHIPPED
from studies.tables import Row

_CLICK = [sys.executable, "-c", "import click"]
_ONNX = [sys.executable, "-c", "import onnx, sys; onnx.load(sys.argv[1])", str(SHIPPED)]
_TORCH = [sys.executable, "-c", f"import torch, onnxruntime; {_ONNX[2]}", str(SHIPPED)]
_COMPLETION = {
    "_NHLE_ONNX_COMPLETE": "bash_complete",
    "COMP_WORDS": "nhle-onnx verify --for",
    "COMP_CWORD": "2",
}


def measure_startup(rounds: int, bytecode: Path) -> list[Row]:
    """Measure `--help`, completion and `inspect`, each as a process. The warm-up compiles all
    modules into the folder `bytecode`, as pip does on installation.
    """
    program = str(Path(sys.executable).with_name("nhle-onnx"))
    plain = os.environ | {"PYTHONPYCACHEPREFIX": str(bytecode), "PYTHONDONTWRITEBYTECODE": ""}
    measures = {
        "import click": partial(time_command, _CLICK, plain),
        "import onnx, and load the model": partial(time_command, _ONNX, plain),
        "import torch, onnxruntime and onnx, and load the model": partial(
            time_command, _TORCH, plain
        ),
        "--help": partial(time_command, [program, "--help"], plain),
        "completion of a flag": partial(time_command, [program], plain | _COMPLETION),
        "inspect": partial(time_command, [program, "inspect", str(SHIPPED)], plain),
    }
    found = measure_in_turn(measures, rounds)
    pairs: tuple[tuple[str, str, float | None], ...] = (
        ("--help", "import click", 2.0),
        ("completion of a flag", "import click", 2.0),
        ("inspect", "import onnx, and load the model", 1.5),
        ("inspect", "import torch, onnxruntime and onnx, and load the model", None),
    )
    return [
        make_row(
            f"`{ours}`, relative to Python's `{bare}`",
            statistics.median(found[ours]), statistics.median(found[bare]), "s",
            take_median_ratio(found[ours], found[bare]), limit,
        )
        for ours, bare, limit in pairs
    ]  # fmt: skip
