"""The tool's default on a network of the zoo: one class, one draw of samples, one row."""

import tempfile
import time
from itertools import count, product
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
EVERY = 2**16  # samples of a class: more than are ever given
REFUSED = "refused"


class Cell(NamedTuple):
    """A class of a network, and a draw of samples."""

    forgotten: int
    seed: int


class Draw(NamedTuple):
    """Classes to forget, `samples` of each, and `anchors` in all, drawn by a seed from the classes
    `shown`, or from all others.
    """

    forgotten: tuple[int, ...]
    seed: int
    samples: int = FORGET_SAMPLES
    anchors: int = ANCHORS
    shown: tuple[int, ...] | None = None


class Pool(NamedTuple):
    """Training images as a model's inputs, or as bytes, and their labels."""

    inputs: npt.NDArray[Any]
    labels: npt.NDArray[np.int64]


class Subject(NamedTuple):
    """A model, the pool that samples are drawn from, and the test set. If given, `others` serve as
    anchors in place of the pool's.
    """

    model: Path
    pool: Pool
    test: Path
    others: Pool | None = None


def list_cells(classes: int) -> list[Cell]:
    """List three classes that are spread over all (or both of two), draw by draw."""
    spread = sorted({share * classes // 5 for share in (0, 2, 4)})
    return [Cell(index, seed) for seed, index in product(range(DRAWS), spread)]


def read_pool(path: Path) -> Pool:
    """Read the pool that samples are drawn from."""
    with np.load(path) as held:
        return Pool(held["x"], held["y"])


def draw_samples(pool: Pool, draw: Draw) -> Pool:
    """Draw samples of the classes, one class after another, and then anchors."""
    rng = np.random.default_rng([draw.seed, *draw.forgotten])
    order = rng.permutation(len(pool.labels))
    labels = pool.labels[order]
    is_anchor = ~np.isin(labels, draw.forgotten)
    if draw.shown is not None:
        is_anchor &= np.isin(labels, draw.shown)
    forget = [order[labels == index][: draw.samples] for index in draw.forgotten]
    chosen = np.concatenate([*forget, order[is_anchor][: draw.anchors]])
    return Pool(pool.inputs[chosen], pool.labels[chosen])


def open_subject(stranger: Stranger, cache: Path) -> Subject:
    """Open a network of the zoo."""
    files = locate_data(stranger.data, cache)
    return Subject(locate(stranger, cache).model, read_pool(files.pool), files.test)


def measure_cell(stranger: Stranger, cell: Cell, cache: Path) -> Row:
    """Measure the row of a cell."""
    row = {"network": stranger.name, "forget": cell.forgotten, "seed": cell.seed}
    start = time.process_time()
    try:
        report = unlearn_cell(stranger, cell, cache)
    except NhleOnnxError as error:
        return row | refuse(error)
    return row | summarise(report) | {"CPU s": time.process_time() - start}


def unlearn_cell(stranger: Stranger, cell: Cell, cache: Path) -> UnlearnReport:
    """Unlearn with the defaults, judged by the whole test set."""
    return unlearn(open_subject(stranger, cache), Draw((cell.forgotten,), cell.seed))


def unlearn(subject: Subject, draw: Draw) -> UnlearnReport:
    """Unlearn with the defaults, judged by the whole test set."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = UnlearnSettings(
            model=subject.model,
            forget=tuple(map(str, draw.forgotten)),
            data=subject.test,
            out=folder / "edited.onnx",
            options=UnlearnOptions(seed=draw.seed, samples_per_class=EVERY),
            **write_samples(subject, draw, folder),
        )
        watch = Stopwatch(Silence())
        return carry_out(plan_unlearning(settings, watch), watch)


def write_samples(subject: Subject, draw: Draw, folder: Path) -> dict[str, Any]:
    """Write what the tool is given, and return the settings that name it."""
    path, others = folder / "samples.npz", subject.others
    if others is None:
        samples = draw_samples(subject.pool, draw)
        np.savez(path, x=samples.inputs, y=samples.labels)
        return {"samples": path}
    samples = draw_samples(subject.pool, draw._replace(anchors=0))
    np.savez(path, x=samples.inputs, y=samples.labels)
    anchors = folder / "anchors.npz"
    chosen = np.random.default_rng(draw.seed).permutation(len(others.inputs))[: draw.anchors]
    any_other = next(index for index in count() if index not in draw.forgotten)
    np.savez(anchors, x=others.inputs[chosen], y=np.full(len(chosen), any_other))
    return {"samples": path, "anchors": str(anchors)}


def summarise(report: UnlearnReport) -> Row:
    """Return the figures of a row."""
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
    """Return the tool's own verdict, with the gates that led to it."""
    failed = [check.name for check in report.checks if check.verdict == report.verdict != "passed"]
    verdict = report.verdict.upper().replace("-", " ")
    return f"{verdict}: {', '.join(failed)}" if failed else verdict


def refuse(error: NhleOnnxError) -> dict[str, Any]:
    """Return the row of a request that the tool refuses, or cannot carry out."""
    figures = ("Acc_F before", "Acc_F", "unmasked", "Acc_R before", "ΔAcc_R", "steps", "CPU s")
    return {**dict.fromkeys(figures), "stop": str(error), "verdict": REFUSED}
