"""The cost of running a command's work in a child process."""

import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import click
from rich.progress import track

from studies.results import ROOT, write_results
from studies.tables import make_table

NAME = "isolation"
MODEL = ROOT / "models" / "lenet5_fashion_mnist" / "model.onnx"
ISOLATED = (sys.executable, "-m", "nhle_onnx", "inspect", str(MODEL))
ALONE = (*ISOLATED, "--no-isolation")


@click.command(NAME)
@click.option("--runs", type=click.IntRange(1), default=25, show_default=True)
def isolation(runs: int) -> None:
    """Time `inspect` with and without isolation, alternating, and compare medians."""
    for command in (ISOLATED, ALONE):
        measure_ms(command)  # a warm-up
    pairs = [
        {"isolated": measure_ms(ISOLATED), "alone": measure_ms(ALONE)}
        for _ in track(range(runs), description="timing")
    ]
    rows = [summarize(kind, pairs) for kind in ("elapsed", "processor")]
    body = (
        "`inspect` of LeNet-5 as a process, with and without `--no-isolation`, alternating; "
        f"medians of {runs} runs in milliseconds, and the median of the differences.\n\n"
        f"{make_table(rows)}"
    )
    write_results(NAME, "The cost of isolation", body, rows)
    click.echo(make_table(rows))


def measure_ms(command: tuple[str, ...]) -> dict[str, float]:
    """Measure elapsed and processor time of a process and its children."""
    before, start = _measure_processor_s(), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    elapsed_s = time.perf_counter() - start
    return {"elapsed": 1e3 * elapsed_s, "processor": 1e3 * (_measure_processor_s() - before)}


def summarize(kind: str, pairs: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Make a row of medians."""
    return {
        "time": kind,
        **{name: round(statistics.median(pair[name][kind] for pair in pairs)) for name in pairs[0]},
        "difference": round(
            statistics.median(pair["isolated"][kind] - pair["alone"][kind] for pair in pairs)
        ),
    }


def _measure_processor_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
