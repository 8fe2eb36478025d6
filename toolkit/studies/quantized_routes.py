"""Three ways to a quantized model that has forgotten: the tool on its file, two through floats."""

import tempfile
import time
from collections.abc import Callable, Mapping
from functools import cache as remember
from pathlib import Path
from typing import NamedTuple

import onnx
from onnx import ModelProto

from nhle_onnx.data.labels import parse_request
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.load import load_model
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.report import Accuracy, UnlearnReport
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.unlearn import UnlearnSettings
from nhle_onnx.verification.accuracy import compute_accuracy
from nhle_onnx.workflows.measure import count_classes, load_classifier
from nhle_onnx.workflows.observer import Silence, Stopwatch
from nhle_onnx.workflows.plan import plan_unlearning
from nhle_onnx.workflows.unlearn import carry_out
from studies.dequantize import dequantize
from studies.formats import FORMATS, quantize
from studies.quantized_rows import DEQUANTIZED, FLOAT_FIRST, TOOL
from studies.quantized_subjects import (
    EVALUATION,
    SAMPLES,
    Cell,
    make_given,
    open_shipped,
    write_model,
)

DEFAULTS = UnlearnOptions()


class FloatEdit(NamedTuple):
    """A float model that has forgotten, and the same with its original head."""

    edited: ModelProto
    restored: ModelProto
    steps: int
    seconds: float


class Outcome(NamedTuple):
    """The result of a route, and its accuracy."""

    edited: ModelProto
    before: Accuracy
    after: Accuracy
    unmasked: float | None
    steps: int
    seconds: float
    restored_acc_r: float | None = None  # with the original head, if that was measured


def use_tool(cell: Cell, folder: Path) -> Outcome:
    """Run the tool on the quantized file."""
    path = write_model(make_given(cell.network, cell.format), cell.network, folder)
    report = unlearn_file(path, get_class(cell), folder)
    return Outcome(
        edited=onnx.load_model(Path(report.edited.path)),
        before=report.before,
        after=report.after,
        unmasked=report.unmasked.acc_f,
        steps=report.method["steps_run"],
        seconds=sum(report.elapsed_s.values()),
    )


def unlearn_file(path: Path, forget: int, folder: Path) -> UnlearnReport:
    """Do as `unlearn PATH --forget CLASS`; the edited file is in the folder."""
    settings = UnlearnSettings(
        model=path,
        forget=(str(forget),),
        samples=SAMPLES,
        data=EVALUATION,
        options=DEFAULTS,
        out=folder / "edited.onnx",
    )
    watch = Stopwatch(Silence())
    return carry_out(plan_unlearning(settings, watch), watch)


def use_float_first(cell: Cell, _: Path) -> Outcome:
    """Run the tool on the float model from which the quantized one was made, then quantize it."""
    return requantize(cell, edit_shipped(cell.network, get_class(cell)))


def use_dequantized(cell: Cell, folder: Path) -> Outcome:
    """Run the tool on the float graph with the quantized model's values, then quantize it."""
    original = open_shipped(cell.network).classifier.model.proto
    floats = dequantize(FORMATS[cell.format], original, make_given(cell.network, cell.format))
    path = write_model(floats, cell.network, folder)
    return requantize(cell, edit_floats(path, get_class(cell), folder))


@remember
def edit_shipped(network: str, forget: int) -> FloatEdit:
    """Run the tool on the shipped float model, once for all formats."""
    with tempfile.TemporaryDirectory() as folder:
        path = open_shipped(network).classifier.model.path
        return edit_floats(path, forget, Path(folder))


def edit_floats(path: Path, forget: int, folder: Path) -> FloatEdit:
    """Run the tool on a float file."""
    report = unlearn_file(path, forget, folder)
    original, edited = load_model(path), load_model(Path(report.edited.path))
    restored = Head(edited.proto, find_head(edited)).restore(
        Head(original.proto, find_head(original))
    )
    steps = report.method["steps_run"]
    return FloatEdit(edited.proto, restored, steps, sum(report.elapsed_s.values()))


def requantize(cell: Cell, edit: FloatEdit) -> Outcome:
    """Quantize a float model after it forgot, calibrated as the given model was.

    Integers of another calibration do not fit the given model's head. So `unmasked` is measured on
    the restored float model, quantized in the same way.
    """
    classifier, calibration, _ = open_shipped(cell.network)
    request = parse_request((str(cell.forget),), classifier.labels)
    start = time.perf_counter()
    edited = quantize(FORMATS[cell.format], edit.edited, calibration)
    spent = time.perf_counter() - start
    restored = quantize(FORMATS[cell.format], edit.restored, calibration)
    unmasked = measure(restored, cell.network, request)
    return Outcome(
        edited=edited,
        before=measure_given(cell.network, cell.format, get_class(cell)),
        after=measure(edited, cell.network, request),
        unmasked=unmasked.acc_f,
        steps=edit.steps,
        seconds=edit.seconds + spent,
        restored_acc_r=unmasked.acc_r,
    )


@remember
def measure_given(network: str, chosen: str, forget: int) -> Accuracy:
    """Measure the given quantized model, once for both float routes."""
    request = parse_request((str(forget),), open_shipped(network).classifier.labels)
    return measure(make_given(network, chosen), network, request)


def measure(proto: ModelProto, network: str, request: ForgetRequest) -> Accuracy:
    """Measure accuracies on all evaluation images, with the tool's batch size."""
    classifier, _, evaluation = open_shipped(network)
    model = load_classifier(classifier, "auto", "exact", proto)
    (counts,) = count_classes([model], evaluation, request, DEFAULTS.batch_size)
    return compute_accuracy(counts, request)


def get_class(cell: Cell) -> int:
    """Return the class that a cell forgets."""
    if cell.forget is None:
        message = f"{cell.kind} forgets nothing"
        raise ValueError(message)
    return cell.forget


ROUTES: Mapping[str, Callable[[Cell, Path], Outcome]] = {
    TOOL: use_tool,
    FLOAT_FIRST: use_float_first,
    DEQUANTIZED: use_dequantized,
}
