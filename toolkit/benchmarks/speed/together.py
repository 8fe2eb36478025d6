"""Two runs of `unlearn` at a time, compared with one alone."""

import statistics
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.speed.rows import make_row, measure_in_turn, take_median_ratio, time_command
from benchmarks.speed.subjects import SAMPLES
from studies.results import ROOT
from studies.tables import Row

LIMIT = 2.2
_MODEL = ROOT / "models" / "lenet5_fashion_mnist" / "model.onnx"


def measure_together(folder: Path, rounds: int) -> list[Row]:
    """Measure with as many threads as each run starts: waiting ones must not slow the other run."""
    flags = ("--forget", "3", "--samples", str(SAMPLES), "--force", "--quiet")

    def run(name: str) -> float:
        out = str(folder / f"{name}.onnx")
        program = [sys.executable, "-m", "nhle_onnx", "unlearn", str(_MODEL)]
        return time_command([*program, *flags, "--out", out])

    def run_both() -> float:
        with ThreadPoolExecutor(2) as pool:
            return max(pool.map(run, ("first", "second")))

    found = measure_in_turn({"alone": lambda: run("first"), "both": run_both}, rounds)
    return [
        make_row(
            "two runs of `unlearn` of LeNet-5 at a time, relative to one alone",
            statistics.median(found["both"]), statistics.median(found["alone"]), "s",
            take_median_ratio(found["both"], found["alone"]), LIMIT,
        )
    ]  # fmt: skip
