"""Forget in floats, then quantize with ONNX Runtime's own tools and their defaults."""

from collections.abc import Sequence
from itertools import product

import click
from onnx import ModelProto, TensorProto
from rich.progress import track

from nhle_onnx.data.labels import parse_request
from nhle_onnx.errors import NhleOnnxError
from nhle_onnx.graph.copies import copy_model
from nhle_onnx.values.report import Accuracy
from nhle_onnx.verification.accuracy import subtract
from studies.formats import FORMATS, Calibration, Format, quantize
from studies.options import fresh_option
from studies.quantized_routes import edit_shipped, measure
from studies.quantized_subjects import NETWORKS, STRANGERS, open_shipped
from studies.results import resume, write_results
from studies.tables import Row, add_others, get_key, make_table

NAME = "after_quantization"
SUBJECTS = (*NETWORKS, *STRANGERS)
KEY = ("network", "format", "forget")
LIMITS = {"Acc_F": 0.01, "ΔAcc_R": -0.01, "unmasked": 0.02}


def _halve(proto: ModelProto, _: Calibration) -> ModelProto:
    # torch's exporters are imported with it, which takes seconds
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415

    halved: ModelProto = convert_float_to_float16(copy_model(proto), keep_io_types=True)
    return halved


_HALF = Format(
    name="float16",
    prepare=copy_model,
    quantize=_halve,
    weights=TensorProto.FLOAT16,
    activations=TensorProto.FLOAT16,
)
_CHOSEN = ("qdq-int8", "qdq-per-channel", "qdq-uint16-int8", "qdq-int4", "qdq-int4-blocks")
CHOSEN = {name: FORMATS[name] for name in (*_CHOSEN, "qoperator-int8", "dynamic-int8")}
CHOSEN[_HALF.name] = _HALF


@click.command(NAME)
@click.option("--network", "networks", multiple=True, type=click.Choice(SUBJECTS), default=SUBJECTS)
@click.option("--format", "formats", multiple=True, type=click.Choice(list(CHOSEN)), default=CHOSEN)
@click.option("--forget", "classes", multiple=True, type=click.IntRange(0, 9), default=(0, 3, 6))
@fresh_option
def after_quantization(
    networks: Sequence[str],
    formats: Sequence[str],
    classes: Sequence[int],
    fresh: bool,  # noqa: FBT001
) -> None:
    """Forget classes in floats and quantize afterwards; rows measured before are kept."""
    with resume(NAME, fresh=fresh) as kept:
        done = {get_key(row, KEY) for row in kept.rows}
        cells = [cell for cell in product(networks, formats, classes) if cell not in done]
        # all formats of an edited model in turn: it is then made only once
        for cell in track(sorted(cells, key=lambda each: (each[0], each[2])), description=NAME):
            kept.add(measure_cell(*cell))
        rows = sorted(kept.rows, key=lambda row: [str(value) for value in get_key(row, KEY)])
        publish(rows)
    click.echo(count_kept(rows))


def measure_cell(network: str, chosen: str, forget: int) -> Row:
    """Measure one row; if the quantizer refuses, it holds the reason."""
    key = dict(zip(KEY, (network, chosen, forget), strict=True))
    edit = edit_shipped(network, forget)
    original = open_shipped(network).classifier.model.proto
    try:
        before, after, restored, floats = (
            measure_quantized(proto, network, chosen, forget)
            for proto, chosen in (
                (original, chosen), (edit.edited, chosen), (edit.restored, chosen),
                (edit.restored, None),
            )
        )  # fmt: skip
    except NhleOnnxError as error:
        return {**key, "refused": error.reason}
    return {
        **key,
        "refused": None,
        "Acc_R before": before.acc_r,
        "ΔAcc_R": subtract(after.acc_r, before.acc_r),
        "Acc_F": after.acc_f,
        "unmasked": restored.acc_f,
        "unmasked in floats": floats.acc_f,
    }


def measure_quantized(proto: ModelProto, network: str, chosen: str | None, forget: int) -> Accuracy:
    """Measure a float model in a format, or as it is."""
    classifier, calibration, _ = open_shipped(network)
    made = proto if chosen is None else quantize(CHOSEN[chosen], proto, calibration)
    return measure(made, network, parse_request((str(forget),), classifier.labels))


def is_kept(row: Row) -> bool:
    """Whether a row keeps every limit."""
    return row["refused"] is None and (
        row["Acc_F"] <= LIMITS["Acc_F"]
        and row["ΔAcc_R"] >= LIMITS["ΔAcc_R"]
        and row["unmasked"] <= row["unmasked in floats"] + LIMITS["unmasked"]
    )


def count_kept(rows: Sequence[Row]) -> str:
    """Count the rows that keep every limit."""
    return f"{sum(map(is_kept, rows))} of {len(rows)} rows keep every limit."


def publish(rows: Sequence[Row]) -> None:
    """Write the page and its rows."""
    missed = [row for row in rows if not is_kept(row)]
    measured = [
        {k: v for k, v in row.items() if k != "refused"} for row in rows if not row["refused"]
    ]
    body = (
        "`unlearn MODEL --forget C` on the float model, then ONNX Runtime's own quantizer with its "
        "defaults, on the 2,000 shipped evaluation images. `residual-kept` is one of "
        "[strangers' networks](strangers.md), exported with its batch norms. `before` is the "
        "original in the same format; `unmasked` is Acc_F with the original head, in the format "
        f"and in floats. Limits: Acc_F ≤ {LIMITS['Acc_F']}, ΔAcc_R ≥ {LIMITS['ΔAcc_R']}, unmasked "
        f"at most {LIMITS['unmasked']} above that in floats.\n\n{make_table(measured)}\n\n"
        f"{add_others(count_kept(rows), missed)}"
    )
    write_results(NAME, "Forgotten in floats, quantized afterwards", body, rows)
