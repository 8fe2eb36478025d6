"""Unlearning on quantized models: parity, the tool's results, and two ways through floats."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import click
from onnx import ModelProto, TensorProto
from rich.progress import track

from nhle_onnx.errors import NhleOnnxError
from nhle_onnx.graph.tensors import is_float, list_tensors
from nhle_onnx.verification.accuracy import subtract
from nhle_onnx.verification.changes import compare_models
from studies.formats import FORMATS
from studies.options import fresh_option
from studies.pace import compare_pace
from studies.quantized_page import NAME, describe, publish, publish_pictures
from studies.quantized_parity import measure_parity
from studies.quantized_routes import ROUTES
from studies.quantized_rows import KEY, PARITY, TOOL
from studies.quantized_subjects import NETWORKS, Cell, make_given, open_shipped
from studies.results import ROOT, resume
from studies.tables import Row, get_key

CLASSES = range(10)
PARTS = ("parity", "unlearn")
NAMED_KINDS = {
    ("_scale", "_scales"): "scales",
    ("_zero_point", "_zero_points"): "zero points",
}


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
    type=click.Choice(list(ROUTES)),
    default=list(ROUTES),
    show_default=True,
    help="How it forgets: the tool on the quantized file, or in floats before it is quantized.",
)
@click.option("--only", type=click.Choice(PARTS), help="Measure one part.  [default: both]")
@fresh_option
def quantized(
    networks: Sequence[str],
    formats: Sequence[str],
    classes: Sequence[int],
    routes: Sequence[str],
    only: str | None,
    fresh: bool,  # noqa: FBT001
) -> None:
    """Forget each class of both shipped models in every format; rows measured before are kept."""
    wanted = {"parity": (PARITY,), "unlearn": routes}
    kinds = [kind for part in PARTS if only in (None, part) for kind in wanted[part]]
    asked = list_cells(kinds, networks, formats, classes)
    with resume(NAME, fresh=fresh) as kept:
        done = {get_key(row, KEY) for row in kept.rows}
        cells = [cell for cell in asked if tuple(cell) not in done]
        for cell in track(cells, description="quantized models"):
            kept.add(measure_cell(cell))
        publish(kept.rows)
    publish_pictures(kept.rows)
    click.echo(describe(kept.rows))


def list_cells(
    kinds: Sequence[str], networks: Sequence[str], formats: Sequence[str], classes: Sequence[int]
) -> list[Cell]:
    """List parity, then class by class, so that an interrupted run has rows of every format."""
    parity = [Cell(PARITY, *model, None) for model in product(networks, formats)]
    routes = [kind for kind in kinds if kind != PARITY]
    runs = [
        Cell(route, network, chosen, forget)
        for forget, network, chosen, route in product(classes, networks, formats, routes)
    ]
    return [*(parity if PARITY in kinds else ()), *runs]


def measure_cell(cell: Cell) -> Row:
    """Measure one row; if the tool or the quantizer refuses, it holds the reason."""
    key = dict(zip(KEY, cell, strict=True))
    with tempfile.TemporaryDirectory() as name:
        try:
            measure = measure_parity if cell.kind == PARITY else measure_unlearning
            return {**key, "refused": None, **measure(cell, Path(name))}
        except NhleOnnxError as error:
            reason = error.reason.replace(f"{Path(name)}/", "").replace(f"{ROOT}/", "")
            return {**key, "refused": reason}


def measure_unlearning(cell: Cell, folder: Path) -> Row:
    """Forget one class by a route, and compare with the given quantized model."""
    given = make_given(cell.network, cell.format)
    outcome = ROUTES[cell.kind](cell, folder)
    changes = compare_models(given, outcome.edited)
    # Nothing is claimed about the speed of a network that was quantized again.
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
        **times,
        "s": outcome.seconds,
    }


def count_kinds(proto: ModelProto, names: Sequence[str]) -> dict[str, int]:
    """Count the named tensors by kind."""
    tensors = dict(list_tensors(proto))
    return dict(Counter(find_kind(tensors[name]) for name in names))


def find_kind(tensor: TensorProto) -> str:
    """Return a tensor's kind; scales and zero points are recognised by name."""
    for endings, kind in NAMED_KINDS.items():
        if tensor.name.endswith(endings):
            return kind
    if is_float(tensor):
        return "floats"
    return "int32 biases" if tensor.data_type == TensorProto.INT32 else "integer weights"
