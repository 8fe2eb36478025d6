"""One comparison: what is measured, its baseline, and the required ratio."""

import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from studies.tables import Row, write_met


def make_row(
    what: str, ours: float, baseline: float, unit: str, ratio: float, limit: float | None,
    better: Literal["lower", "higher"] = "lower",
) -> Row:  # fmt: skip
    """Make a row; `ratio` is the median over rounds of ours divided by the baseline's."""
    met = ""
    if limit is not None:
        met = write_met(met=ratio <= limit if better == "lower" else ratio >= limit)
    sign = "≤" if better == "lower" else "≥"
    return {
        "what": what,
        "ours": ours,
        "baseline": baseline,
        "unit": unit,
        "ratio": ratio,
        "limit": "" if limit is None else f"{sign} {limit}",
        "met": met,
    }


def measure_in_turn(
    measures: Mapping[str, Callable[[], float]], rounds: int
) -> dict[str, list[float]]:
    """Run each measure once in each round, in a new order every time, after a warm-up round."""
    shuffle = random.Random(0).shuffle  # noqa: S311 - an order, no secret
    order = list(measures)
    found: dict[str, list[float]] = {name: [] for name in measures}
    for index in range(rounds + 1):
        shuffle(order)
        for name in order:
            value = measures[name]()
            if index:
                found[name].append(value)
    return found


def take_median_ratio(ours: list[float], baseline: list[float]) -> float:
    """Return the median over rounds, which other work on the machine disturbs least."""
    return statistics.median(one / other for one, other in zip(ours, baseline, strict=True))


# for both sides: threads that wait for each other suffer most from other work on the machine
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}


def time_command(
    command: list[str], environment: Mapping[str, str] | None = None, codes: tuple[int, ...] = (0,)
) -> float:
    """Measure the wall-clock seconds of a process that must end with one of `codes`."""
    start = time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, env=environment)
    elapsed_s = time.perf_counter() - start
    if done.returncode not in codes:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    return elapsed_s


PEAK = """
import sys
from nhle_onnx.cli.main import main

def read(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))

before = 0
if sys.argv.pop(1) == "beyond imports":
    import nhle_onnx.workflows.training
    import torch

    torch.optim.Adam([torch.zeros(1)])  # the first optimizer imports torch's compiler
    before = read("VmRSS")
try:
    main()
except SystemExit as end:
    print("PEAK", end.code, read("VmHWM") - before)
"""


def measure_peak(arguments: list[str | Path], *, beyond_imports: bool = False) -> float:
    """Measure the MiB of a program run at its peak (Linux): VmHWM, as ru_maxrss is the parent's
    where that is larger. `beyond_imports` subtracts the memory after all imports.
    """
    counted = "beyond imports" if beyond_imports else "all"
    command = [sys.executable, "-c", PEAK, counted, *map(str, arguments), "--no-isolation"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    last = done.stdout.splitlines()[-1].split()
    if last[:1] != ["PEAK"] or last[1] not in {"0", "1"}:
        raise RuntimeError(done.stderr)
    return int(last[2]) / 1024
