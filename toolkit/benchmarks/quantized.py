"""Quantized models forget as they are: how they are computed, what the tool makes of them, and
what the two ways around it through floats would.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache as remember
from itertools import product
from pathlib import Path
from typing import NamedTuple

import click
import onnx
from onnx import ModelProto, TensorProto
from rich.progress import track

from benchmarks.formats import FORMATS, dequantize, quantize
from benchmarks.pace import compare_pace
from benchmarks.quantized_page import (
    DEQUANTIZED,
    FLOAT_FIRST,
    KEY,
    NAME,
    PARITY,
    TOOL,
    Row,
    describe,
    publish,
    publish_pictures,
)
from benchmarks.quantized_parity import measure_parity
from benchmarks.quantized_subjects import (
    EVALUATION,
    NETWORKS,
    SAMPLES,
    Cell,
    make_given,
    open_shipped,
    write_model,
)
from benchmarks.results import ROOT, read_rows
from nhle_onnx.errors import NhleOnnxError, UnsupportedModelError
from nhle_onnx.graph.head import find_head
from nhle_onnx.graph.load import load_model
from nhle_onnx.graph.tensors import is_float, list_tensors
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.report import Accuracy, UnlearnReport
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.verify.changes import compare_models
from nhle_onnx.verify.unmask import restore_head
from nhle_onnx.workflows.measure import load_subject, measure_models, subtract
from nhle_onnx.workflows.observer import Silence, Stopwatch
from nhle_onnx.workflows.plan import plan_unlearning
from nhle_onnx.workflows.subject import make_request
from nhle_onnx.workflows.unlearn import carry_out
from nhle_onnx.workflows.unlearn_settings import UnlearnSettings

CLASSES = range(10)
DEFAULTS = UnlearnOptions()
PARTS = ("parity", "unlearn")
NAMED_KINDS = {
    ("_scale", "_scales"): "scales",
    ("_zero_point", "_zero_points"): "zero points",
}


class FloatEdit(NamedTuple):
    """A float model that forgot, and the same with the head that it had."""

    edited: ModelProto
    restored: ModelProto
    steps: int
    seconds: float


class Outcome(NamedTuple):
    """What a route made of a quantized model, and how that does."""

    edited: ModelProto
    before: Accuracy
    after: Accuracy
    unmasked: float | None
    steps: int
    seconds: float
    restored_acc_r: float | None = None  # with the original head put back, where that is known
    is_rescaled: bool = False


@click.command(NAME)
@click.option(
    "--network", "networks", multiple=True, type=click.Choice(list(NETWORKS)), default=NETWORKS
)
@click.option(
    "--format", "formats", multiple=True, type=click.Choice(list(FORMATS)), default=FORMATS
)
@click.option(
    "--forget",
    "classes",
    multiple=True,
    type=click.IntRange(min(CLASSES), max(CLASSES)),
    default=CLASSES,
    show_default="every class",
)
@click.option(
    "--route",
    "routes",
    multiple=True,
    type=click.Choice([TOOL, FLOAT_FIRST, DEQUANTIZED]),
    default=[TOOL, FLOAT_FIRST, DEQUANTIZED],
    show_default=True,
    help="How it forgets: the tool on the quantized file, or in floats before it is quantized.",
)
@click.option("--only", type=click.Choice(PARTS), help="Measure one part.  [default: both]")
@click.option("--fresh", is_flag=True, help=f"Measure again what docs/results/{NAME}.json holds.")
def quantized(
    networks: Sequence[str],
    formats: Sequence[str],
    classes: Sequence[int],
    routes: Sequence[str],
    only: str | None,
    fresh: bool,  # noqa: FBT001
) -> None:
    """Forget each class of both shipped models in every format; rows measured before are kept."""
    rows = [] if fresh else read_rows(NAME)
    done = {tuple(row[name] for name in KEY) for row in rows}
    wanted = {"parity": (PARITY,), "unlearn": routes}
    kinds = [kind for part in PARTS if only in (None, part) for kind in wanted[part]]
    cells = [
        cell for cell in list_cells(kinds, networks, formats, classes) if tuple(cell) not in done
    ]
    for cell in track(cells, description="quantized models"):
        rows.append(measure_cell(cell))
        publish(rows)
    publish(rows)
    publish_pictures(rows)
    click.echo(describe(rows))


def list_cells(
    kinds: Sequence[str], networks: Sequence[str], formats: Sequence[str], classes: Sequence[int]
) -> list[Cell]:
    """Parity first, then class by class, so that what is there after an interrupt covers every
    format.
    """
    parity = [Cell(PARITY, *model, None) for model in product(networks, formats)]
    routes = [kind for kind in kinds if kind != PARITY]
    runs = [
        Cell(route, network, chosen, forget)
        for forget, network, chosen, route in product(classes, networks, formats, routes)
    ]
    return [*(parity if PARITY in kinds else ()), *runs]


def measure_cell(cell: Cell) -> Row:
    """One row; where the tool or the quantizer refuses, it says why."""
    key = dict(zip(KEY, cell, strict=True))
    with tempfile.TemporaryDirectory() as name:
        try:
            measure = measure_parity if cell.kind == PARITY else measure_unlearning
            return {**key, "refused": None, **measure(cell, Path(name))}
        except NhleOnnxError as error:
            reason = error.reason.replace(f"{Path(name)}/", "").replace(f"{ROOT}/", "")
            return {**key, "refused": reason}


def measure_unlearning(cell: Cell, folder: Path) -> Row:
    """Forget one class by a route, against the quantized model as given."""
    given = make_given(cell.network, cell.format)
    outcome = ROUTES[cell.kind](cell, folder)
    changes = compare_models(given, outcome.edited)
    # Quantized anew it is another network, whose pace is no claim of ours.
    image = open_shipped(cell.network).evaluation.read([0])
    times = compare_pace(given, outcome.edited, image) if cell.kind == TOOL else {}
    return {
        "Acc_F before": outcome.before.acc_f,
        "Acc_F": outcome.after.acc_f,
        "unmasked": outcome.unmasked,
        "Acc_R before": outcome.before.acc_r,
        "ΔAcc_R": subtract(outcome.after.acc_r, outcome.before.acc_r),
        "ΔAcc_R restored": subtract(outcome.restored_acc_r, outcome.before.acc_r),
        "steps": outcome.steps,
        "bytes": outcome.edited.ByteSize() - given.ByteSize(),
        "changed": count_kinds(given, changes.changed),
        "added": len(changes.added),
        "same graph": changes.is_graph_same,
        "rescaled": outcome.is_rescaled,
        **times,
        "s": outcome.seconds,
    }


def use_tool(cell: Cell, folder: Path) -> Outcome:
    """The tool on the quantized file."""
    path = write_model(make_given(cell.network, cell.format), cell.network, folder)
    report, is_rescaled = unlearn_or_rescale(path, get_class(cell), folder)
    return Outcome(
        edited=onnx.load_model(Path(report.edited.path)),
        before=report.before,
        after=report.after,
        unmasked=report.unmasked.acc_f,
        steps=report.method["steps_run"],
        seconds=sum(report.elapsed_s.values()),
        is_rescaled=is_rescaled,
    )


def unlearn_or_rescale(path: Path, forget: int, folder: Path) -> tuple[UnlearnReport, bool]:
    """The defaults; where they refuse the model, with a wider output."""
    try:
        return unlearn_file(path, forget, folder), False
    except UnsupportedModelError:
        return unlearn_file(path, forget, folder, replace(DEFAULTS, rescale=True)), True


def unlearn_file(
    path: Path, forget: int, folder: Path, options: UnlearnOptions = DEFAULTS
) -> UnlearnReport:
    """What `unlearn PATH --forget CLASS` does; the edited file is in the folder."""
    settings = UnlearnSettings(
        model=path,
        forget=(str(forget),),
        samples=SAMPLES,
        eval_data=EVALUATION,
        options=options,
        out=folder / "edited.onnx",
    )
    watch = Stopwatch(Silence())
    return carry_out(plan_unlearning(settings, watch), watch)


def use_float_first(cell: Cell, _: Path) -> Outcome:
    """The tool on the float model that the quantized one was made of, which then is quantized."""
    return requantize(cell, edit_shipped(cell.network, get_class(cell)))


def use_dequantized(cell: Cell, folder: Path) -> Outcome:
    """The tool on the float graph with the quantized model's values, which then is quantized."""
    original = open_shipped(cell.network).subject.model.proto
    floats = dequantize(FORMATS[cell.format], original, make_given(cell.network, cell.format))
    path = write_model(floats, cell.network, folder)
    return requantize(cell, edit_floats(path, get_class(cell), folder))


@remember
def edit_shipped(network: str, forget: int) -> FloatEdit:
    """The shipped float model, which forgets once for all formats."""
    with tempfile.TemporaryDirectory() as folder:
        path = open_shipped(network).subject.model.path
        return edit_floats(path, forget, Path(folder))


def edit_floats(path: Path, forget: int, folder: Path) -> FloatEdit:
    """The tool on a float file."""
    report = unlearn_file(path, forget, folder)
    original, edited = load_model(path), load_model(Path(report.edited.path))
    restored = restore_head(edited.proto, find_head(edited), original.proto, find_head(original))
    steps = report.method["steps_run"]
    return FloatEdit(edited.proto, restored, steps, sum(report.elapsed_s.values()))


def requantize(cell: Cell, edit: FloatEdit) -> Outcome:
    """What forgot in floats, quantized and calibrated as the model as given was.

    Integers of another calibration do not fit its head, so unmasked is the restored float model
    quantized likewise.
    """
    subject, calibration, _ = open_shipped(cell.network)
    request = make_request(subject, (str(cell.forget),))
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
    """The quantized model as given, once for both ways around."""
    request = make_request(open_shipped(network).subject, (str(forget),))
    return measure(make_given(network, chosen), network, request)


def measure(proto: ModelProto, network: str, request: ForgetRequest) -> Accuracy:
    """Accuracies on all evaluation images, in batches as large as the tool's."""
    subject, _, evaluation = open_shipped(network)
    model = load_subject(subject, "auto", proto)
    return measure_models([model], evaluation, request, DEFAULTS.batch_size)[0]


def get_class(cell: Cell) -> int:
    """The class that a cell forgets."""
    if cell.forget is None:
        message = f"{cell.kind} forgets nothing"
        raise ValueError(message)
    return cell.forget


def count_kinds(proto: ModelProto, names: Sequence[str]) -> dict[str, int]:
    """How many of the named tensors are of which kind."""
    tensors = dict(list_tensors(proto))
    return dict(Counter(find_kind(tensors[name]) for name in names))


def find_kind(tensor: TensorProto) -> str:
    """What a tensor is to the quantizer: its name says so of scales and zero points."""
    for endings, kind in NAMED_KINDS.items():
        if tensor.name.endswith(endings):
            return kind
    if is_float(tensor):
        return "floats"
    return "int32 biases" if tensor.data_type == TensorProto.INT32 else "integer weights"


ROUTES: Mapping[str, Callable[[Cell, Path], Outcome]] = {
    TOOL: use_tool,
    FLOAT_FIRST: use_float_first,
    DEQUANTIZED: use_dequantized,
}
