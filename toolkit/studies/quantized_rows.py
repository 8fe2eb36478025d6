"""The rows of `quantized`: what names them, their limits, and how pages choose and reduce them."""

from collections.abc import Callable, Iterable, Sequence

from studies.classes import LIMITS
from studies.formats import FORMATS
from studies.tables import Row

KEY = ("kind", "network", "format", "forget")
PARITY = "parity"
TOOL, FLOAT_FIRST, DEQUANTIZED = ROUTES = ("tool", "float-first", "dequantized")
SIZE_BYTES = 4096  # in either direction
LEAST_DELTA = LIMITS["delta_acc_r"] - 1e-9  # a difference of two shares is rounded


def keeps(row: Row) -> bool:
    """Whether a cell keeps every limit."""
    return not row["refused"] and (
        row["Acc_F"] <= LIMITS["acc_f"]
        and row["unmasked"] <= LIMITS["unmasked"]
        and row["ΔAcc_R"] >= LEAST_DELTA
        and abs(row["bytes"]) <= SIZE_BYTES
    )


def count_kept(rows: Sequence[Row]) -> str:
    """Count the cells that keep every limit, of all."""
    return f"{sum(map(keeps, rows))}/{len(rows)}"


def list_measured(rows: Sequence[Row]) -> list[Row]:
    """List rows that neither the tool nor the quantizer refused."""
    return [row for row in rows if not row["refused"]]


def list_formats(rows: Sequence[Row]) -> list[str]:
    """List the rows' formats, in the order of the table."""
    found = {row["format"] for row in rows}
    return [name for name in FORMATS if name in found]


def list_networks(rows: Sequence[Row]) -> list[str]:
    """List the networks of the rows."""
    return list(dict.fromkeys(row["network"] for row in rows if row["kind"] in ROUTES))


def reduce_to(
    function: Callable[[Iterable[float]], float], rows: Sequence[Row], column: str
) -> float | str:
    """Reduce a column to one figure, or a dash where nothing was measured."""
    return function(row[column] for row in rows) if rows else "-"
