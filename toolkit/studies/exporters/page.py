"""The page of `exporters`."""

from collections import Counter
from collections.abc import Sequence

from studies.exporters.measure import FIGURES, FORGET, JUDGED, NOT_MADE, REFUSED
from studies.exporters.table import ROUTES
from studies.results import write_results
from studies.strangers.run import ANCHORS
from studies.tables import Row, group_rows, make_table
from studies.tasks import FORGET_SAMPLES

NAME = "exporters"
KEY = ("exporter", "network", "format")
_INTRODUCTION = (
    "Small networks, trained for seconds on Fashion-MNIST (32 × 32) and exported with the tools "
    f"that people use, forget class {FORGET} by `unlearn` with its defaults: {FORGET_SAMPLES} "
    f"samples of the class, {ANCHORS} unlabelled anchors, judged on {JUDGED:,} test images. "
    "`inspect`: the methods that it promised. `method`: the default, or `cwm` where the default "
    "is refused. `unmasked`: Acc_F with the original head. `trained`: the trained share of the "
    "weights before the head. `s`: processor time. Each exporter runs in an environment of its "
    "own, which the command makes from the lists in `toolkit/studies/exporters`."
)


def publish(rows: Sequence[Row]) -> None:
    """Write the page and the rows."""
    write_results(NAME, "What exporters write", describe(rows), rows)


def describe(rows: Sequence[Row]) -> str:
    """Return the page's text."""
    listed = sum(len([*route.cells]) for route in ROUTES)
    left = f"{listed - len(rows)} more files of the list are not measured yet."
    parts = [_INTRODUCTION, count_verdicts(rows), *([left] if listed > len(rows) else [])]
    measured = [row for row in rows if row["Acc_F"] is not None]
    for (exporter,), group in group_rows(measured, "exporter").items():
        shown = ("network", "format", "inspect", "method", *FIGURES, "verdict")
        table = make_table([{name: row[name] for name in shown} for row in group])
        parts.append(f"## {exporter}\n\n{table}")
    for verdict, title in ((REFUSED, "Refused"), (NOT_MADE, "Not made by the exporter")):
        parts += list_reasons(title, [row for row in rows if row["verdict"] == verdict])
    masked = [row for row in measured if row["reason"]]
    return "\n\n".join((*parts, *list_reasons("Masked only", masked)))


def count_verdicts(rows: Sequence[Row]) -> str:
    """Count the files by verdict."""
    counts = Counter(row["verdict"].partition(":")[0] for row in rows)
    return f"{len(rows)} files: {', '.join(f'{n} {name}' for name, n in counts.most_common())}."


def list_reasons(title: str, rows: Sequence[Row]) -> list[str]:
    """Return a section of rows with their reasons, if there are any."""
    if not rows:
        return []
    table = make_table([{name: row[name] for name in (*KEY, "reason")} for row in rows])
    return [f"## {title}\n\n{table}"]
