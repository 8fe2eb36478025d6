"""One exported file: what `inspect` promises, and what `unlearn` does."""

import os
import tempfile
import time
from functools import cache as remember
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nhle_onnx.data.model_input import find_input
from nhle_onnx.errors import NhleOnnxError
from nhle_onnx.graph.load import load_model
from nhle_onnx.unlearning.scope import count_trained
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.preprocess import ImageInput
from nhle_onnx.values.report import UnlearnReport
from nhle_onnx.values.request import Method
from nhle_onnx.values.settings.inspect import InspectSettings
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.values.settings.unlearn import UnlearnSettings
from nhle_onnx.workflows.inspect import inspect_model
from nhle_onnx.workflows.observer import Silence, Stopwatch
from nhle_onnx.workflows.plan import plan_unlearning
from nhle_onnx.workflows.unlearn import carry_out
from studies.exporters.make import NotMadeError, make_file
from studies.exporters.table import Cell
from studies.strangers.run import ANCHORS, Draw, Pool, draw_samples, name_verdict, read_pool
from studies.tables import Row
from studies.tasks import FORGET_SAMPLES

FORGET = 3
JUDGED = 1_000  # test images
FIGURES = ("Acc_F before", "Acc_F", "unmasked", "Acc_R before", "ΔAcc_R", "trained", "s")
NOT_MADE, REFUSED = "not made", "refused"
_LOWEST = {"uint8": 0, "int8": -128}
_METHODS: tuple[Method, ...] = ("nhle-cwm", "cwm")


def measure_cell(cell: Cell, cache: Path) -> Row:
    """Make, inspect, and forget by the first method that the tool does not refuse."""
    row: Row = {**cell._asdict(), "inspect": "", "method": "", **dict.fromkeys(FIGURES)}
    try:
        path = make_file(cell, cache)
    except NotMadeError as error:
        return row | {"verdict": NOT_MADE, "reason": str(error)}
    row |= {"inspect": describe_promise(path), **forget(path, cache)}
    folder = f"{path.parent}{os.sep}"
    return {
        key: value.replace(folder, "") if isinstance(value, str) else value
        for key, value in row.items()
    }


def describe_promise(path: Path) -> str:
    """Return what `inspect` says."""
    try:
        report = inspect_model(InspectSettings(model=path))
    except NhleOnnxError as error:
        return error.reason
    methods = ", ".join(name for name in ("nhle-cwm", "nhle", "cwm") if report.unlearn[name])
    return "; ".join(filter(None, (methods, *report.reasons)))


def forget(path: Path, cache: Path) -> Row:
    """Return the figures and verdict of `unlearn`; if it refuses, the reason, and what masking
    alone does.
    """
    refused: Row = {}
    for method in _METHODS:
        try:
            return {**unlearn(path, cache, method), **refused, "method": method}
        except NhleOnnxError as error:
            refused = refused or {"reason": " ".join((error.reason, error.remedy or "")).strip()}
    return {"verdict": REFUSED, **refused}


def unlearn(path: Path, cache: Path, method: Method) -> Row:
    """Forget one class with the defaults."""
    target = find_input(load_model(path), ModelFlags())
    train, test = (_read(cache / name) for name in ("data.npz", "test.npz"))
    tuning = draw_samples(train, Draw((FORGET,), 0))
    judged = Pool(test.inputs[:JUDGED], test.labels[:JUDGED])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part, pool in (("samples", tuning), ("test", judged)):
            np.savez(folder / part, x=shape_inputs(pool.inputs, target), y=pool.labels)
        settings = UnlearnSettings(
            model=path,
            forget=(str(FORGET),),
            samples=folder / "samples.npz",
            data=folder / "test.npz",
            out=folder / "edited.onnx",
            options=UnlearnOptions(method=method, samples_per_class=FORGET_SAMPLES + ANCHORS),
        )
        start, watch = time.process_time(), Stopwatch(Silence())
        plan = plan_unlearning(settings, watch)
        report = carry_out(plan, watch)
        spent = time.process_time() - start
    trained, total = count_trained(plan.classifier.model, plan.classifier.head, plan.names)
    return {**summarise(report), "trained": trained / total if total else 0.0, "s": spent}


@remember
def _read(path: Path) -> Pool:
    return read_pool(path)


def shape_inputs(images: npt.NDArray[np.float32], target: ImageInput) -> npt.NDArray[Any]:
    """Turn images [N, 32, 32] into the input that a graph declares."""
    shaped = images.reshape(len(images), *target.sample_shape)
    if target.dtype not in _LOWEST:
        return shaped
    darkest, brightest = images.min(), images.max()
    pixels = np.rint((shaped - darkest) / (brightest - darkest) * 255) + _LOWEST[target.dtype]
    whole: npt.NDArray[Any] = pixels.astype(target.dtype)
    return whole


def summarise(report: UnlearnReport) -> Row:
    """Return the figures of a row."""
    return {
        "Acc_F before": report.before.acc_f,
        "Acc_F": report.after.acc_f,
        "unmasked": report.unmasked.acc_f,
        "Acc_R before": report.before.acc_r,
        "ΔAcc_R": report.delta_acc_r,
        "verdict": name_verdict(report),
        "reason": "",
    }
