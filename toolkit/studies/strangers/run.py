"""The tool's default on a network of the zoo: one class, one draw of samples, one row."""

import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nhle_onnx.errors import NhleOnnxError
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.report import UnlearnReport
from nhle_onnx.values.settings.unlearn import UnlearnSettings
from nhle_onnx.workflows.observer import Silence, Stopwatch
from nhle_onnx.workflows.plan import plan_unlearning
from nhle_onnx.workflows.unlearn import carry_out
from studies.strangers.build import locate, locate_data
from studies.strangers.table import Stranger
from studies.tables import Row
from studies.tasks import FORGET_SAMPLES

ANCHORS = 144
DRAWS = 3
REFUSED = "refused"


class Cell(NamedTuple):
    """A class of a network, and a draw of samples."""

    forgotten: int
    seed: int


class Pool(NamedTuple):
    """Training images as model inputs, and their labels."""

    inputs: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


def list_cells(classes: int) -> list[Cell]:
    """Three classes, spread over all (both, of two), draw by draw."""
    spread = sorted({share * classes // 5 for share in (0, 2, 4)})
    return [Cell(index, seed) for seed, index in product(range(DRAWS), spread)]


def read_pool(path: Path) -> Pool:
    """What samples are drawn from."""
    with np.load(path) as held:
        return Pool(held["x"], held["y"])


def draw_samples(pool: Pool, cell: Cell) -> Pool:
    """Samples of the class, and anchors from any other classes, by the cell's seed."""
    rng = np.random.default_rng([cell.seed, cell.forgotten])
    order = rng.permutation(len(pool.labels))
    is_forgotten = pool.labels[order] == cell.forgotten
    chosen = np.concatenate([order[is_forgotten][:FORGET_SAMPLES], order[~is_forgotten][:ANCHORS]])
    return Pool(pool.inputs[chosen], pool.labels[chosen])


def measure_cell(stranger: Stranger, cell: Cell, cache: Path) -> Row:
    """The row of a cell."""
    row = {"network": stranger.name, "forget": cell.forgotten, "seed": cell.seed}
    start = time.process_time()
    try:
        report = unlearn_cell(stranger, cell, cache)
    except NhleOnnxError as error:
        return row | refuse(error)
    return row | summarise(report) | {"CPU s": time.process_time() - start}


def unlearn_cell(stranger: Stranger, cell: Cell, cache: Path) -> UnlearnReport:
    """Unlearn with the defaults, judged by the whole test set."""
    files = locate_data(stranger.data, cache)
    samples = draw_samples(read_pool(files.pool), cell)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "samples.npz", x=samples.inputs, y=samples.labels)
        settings = UnlearnSettings(
            model=locate(stranger, cache).model,
            forget=(str(cell.forgotten),),
            samples=folder / "samples.npz",
            data=files.test,
            out=folder / "edited.onnx",
            options=UnlearnOptions(seed=cell.seed, samples_per_class=FORGET_SAMPLES + ANCHORS),
        )
        watch = Stopwatch(Silence())
        return carry_out(plan_unlearning(settings, watch), watch)


def summarise(report: UnlearnReport) -> Row:
    """The figures of a row."""
    return {
        "Acc_F before": report.before.acc_f,
        "Acc_F": report.after.acc_f,
        "unmasked": report.unmasked.acc_f,
        "Acc_R before": report.before.acc_r,
        "ΔAcc_R": report.delta_acc_r,
        "steps": report.method["steps_run"],
        "stop": report.method["stop_reason"],
        "verdict": name_verdict(report),
    }


def name_verdict(report: UnlearnReport) -> str:
    """The tool's own verdict, with the gates that were missed."""
    failed = [check.name for check in report.checks if not check.passed]
    verdict = report.verdict.upper().replace("-", " ")
    return f"{verdict}: {', '.join(failed)}" if failed else verdict


def refuse(error: NhleOnnxError) -> dict[str, Any]:
    """The row of a request that the tool turns down, or cannot carry out."""
    figures = ("Acc_F before", "Acc_F", "unmasked", "Acc_R before", "ΔAcc_R", "steps", "CPU s")
    return {**dict.fromkeys(figures), "stop": str(error), "verdict": REFUSED}
