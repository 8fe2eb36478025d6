"""The paper's tables, measured where the data is available, beside the numbers in its text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import stdev
from typing import Any, NamedTuple

import numpy as np
from rich.progress import track

from studies.datasets import DatasetMissingError
from studies.paper_methods import (
    ABLATED,
    COMPARED,
    ENCODED,
    RATE,
    STEP_LIMIT,
    Experiment,
    Measured,
    Method,
    measure,
    open_experiment,
    take_task,
)
from studies.paper_text import (
    BASELINES,
    NAMED,
    NOT_GIVEN,
    PAIRS,
    PUBLISHED,
    RUNS,
    Kind,
    Pair,
    Published,
    describe_pairs,
    describe_source,
)
from studies.results import write_results
from studies.tables import FRACTION, Row, group_rows, make_table, write_spread

ACCURACY = ("Acc_F before", "Acc_F", "Acc_R before", "Acc_R", "ΔAcc_R")
SEPARABILITY = ("D_inter", "D_intra", "Ratio_D")
NOT_MEASURED = "not measured"
NOT_FINITE = "not finite"


class Table(NamedTuple):
    """What a table compares. With `repeats`, it gives the mean of several runs."""

    title: str
    kind: Kind
    methods: tuple[Method, ...]
    columns: tuple[str, ...]
    repeats: bool = False


class Source(NamedTuple):
    """The folders of data sets and trained networks."""

    root: Path
    cache: Path


TABLES: Mapping[str, Table] = {
    "table 1": Table("Forgetting class 0", "single", COMPARED, ACCURACY),
    "table 2": Table("Forgetting class 0, beside GKT and WF-Net", "single", COMPARED, ACCURACY),
    "table 3": Table("Forgetting several classes", "several", COMPARED, ACCURACY, repeats=True),
    "table 4": Table(
        "Forgetting several classes, beside NG-IR", "several", COMPARED, ACCURACY, repeats=True
    ),
    "table 5": Table("Another label, y(B)", "single", ENCODED, ("Acc_F", "Acc_R", *SEPARABILITY)),
    "table 6": Table(
        "NHLE and CWM, alone and together", "single", ABLATED, (*SEPARABILITY, "Acc_F", "Acc_R")
    ),
}


def write_table(key: str, source: Source, runs: int, measured: dict[Any, list[Row]]) -> str:
    """Measure a table and write its page. `measured` caches rows that several tables share."""
    table = TABLES[key]
    count = runs if table.repeats else 1
    rows: list[Row] = []
    lines: list[Row] = []
    for pair in PAIRS[key]:
        found = measure_or_explain(pair, table, count, source, measured)
        rows += found if isinstance(found, list) else [{**pair._asdict(), "not measured": found}]
        lines += make_lines(key, pair, found)
    text = make_table(lines)
    name, body = key.replace(" ", "_"), describe(key, text, count)
    write_results(f"paper_{name}", f"The paper's {key}: {table.title}", body, rows)
    return text


def measure_or_explain(
    pair: Pair, table: Table, runs: int, source: Source, measured: dict[Any, list[Row]]
) -> list[Row] | str:
    """Measure a pair's rows, or say what is missing."""
    key = (pair, table.kind, table.methods, runs)
    if key not in measured:
        try:
            experiment = open_experiment(pair, *source)
        except DatasetMissingError as error:
            return explain_absence(error, source)
        measured[key] = measure_pair(experiment, table.kind, table.methods, runs)
    return measured[key]


def explain_absence(error: DatasetMissingError, source: Source) -> str:
    """Say what is missing, without the user's path."""
    return str(error).split(": ", 1)[1].replace(str(source.root), "DIR")


def measure_pair(
    experiment: Experiment, kind: Kind, methods: Sequence[Method], runs: int
) -> list[Row]:
    """Measure a row for each run of each method."""
    description = f"{experiment.pair.dataset} {experiment.pair.network}"
    return [
        row
        for run in track(range(runs), description=description)
        for row in measure_run(experiment, kind, methods, run)
    ]


def measure_run(
    experiment: Experiment, kind: Kind, methods: Sequence[Method], run: int
) -> list[Row]:
    """Measure a row for each method."""
    tasks = {
        anchored: take_task(experiment, kind, run, anchored=anchored)
        for anchored in {method.anchored for method in methods}
    }
    forgotten = next(iter(tasks.values())).forgotten
    before = measure(experiment.network, experiment.test, forgotten)
    rows = []
    for method in methods:
        network, steps = method.apply(tasks[method.anchored])
        after = measure(network, experiment.test, forgotten)
        row = {**experiment.pair._asdict(), "method": method.name, "forgotten": list(forgotten)}
        rows.append(row | {"run": run, "steps": steps} | name_figures(before, after))
    return rows


def name_figures(before: Measured, after: Measured) -> Row:
    """Return a row's figures by column; None if not finite, as JSON has no NaN."""
    figures = {
        "Acc_F before": before.accuracy.acc_f,
        "Acc_F": after.accuracy.acc_f,
        "Acc_R before": before.accuracy.acc_r,
        "Acc_R": after.accuracy.acc_r,
        "ΔAcc_R": after.accuracy.acc_r - before.accuracy.acc_r,
        **dict(zip(SEPARABILITY, after.separability, strict=True)),
    }
    return {name: value if np.isfinite(value) else None for name, value in figures.items()}


def make_lines(key: str, pair: Pair, found: list[Row] | str) -> list[Row]:
    """Make the table's lines for a pair: the paper's, its baselines', and ours."""
    columns = TABLES[key].columns
    lines = []
    if not isinstance(found, str) or pair in NAMED.get(key, ()):
        unknown = dict.fromkeys(columns, NOT_GIVEN)
        lines = [make_published_line(key, pair)]
        lines += [
            make_line(pair, f"{baseline}, published", unknown)
            for baseline in BASELINES.get(key, ())
        ]
    if isinstance(found, str):
        return [*lines, make_line(pair, f"{NOT_MEASURED}: {found}", dict.fromkeys(columns, "-"))]
    for (name,), chosen in group_rows(found, "method").items():
        cells = {column: format_cell(column, chosen) for column in columns}
        lines.append(make_line(pair, name, cells, format_cell("steps", chosen)))
    return lines


def make_published_line(key: str, pair: Pair) -> Row:
    """Make a line with the numbers in the paper's text."""
    given = PUBLISHED.get((key, pair), Published())
    of_column = {
        "Acc_F": given.acc_f,
        "Acc_R before": given.acc_r_before,
        "Acc_R": given.acc_r,
        "ΔAcc_R": given.delta,
    }
    cells = {
        column: NOT_GIVEN if (value := of_column.get(column)) is None else f"{value:.3f}"
        for column in TABLES[key].columns
    }
    return make_line(pair, "**published**", cells)


def make_line(pair: Pair, method: str, cells: Row, steps: str = "-") -> Row:
    """Make one line of a page's table."""
    return {**pair._asdict(), "method": method, "steps": steps, **cells}


def format_cell(column: str, rows: Sequence[Row]) -> str:
    """Format the mean of a column, with the standard deviation if there are several runs."""
    values = [row[column] for row in rows]
    form = FRACTION if column in ACCURACY else ".3g"
    text = write_spread(values, form, deviation=stdev, missing=NOT_FINITE)
    lost = values.count(None)
    return f"{text} ({lost} {NOT_FINITE})" if 0 < lost < len(values) else text


def describe(key: str, table: str, runs: int) -> str:
    """Return a table's page."""
    several = f"Mean ± standard deviation of {runs} runs" if runs > 1 else "One run"
    paper = f" (the paper has {RUNS})" if TABLES[key].repeats and runs != RUNS else ""
    return (
        f"{describe_methods(key)} {several}{paper}, seeds from 0; networks are trained with seed "
        f"0. {describe_pairs(key)}\n\n{table}\n\n{describe_source(key)}"
    )


def describe_methods(key: str) -> str:
    """Explain the names in the method column."""
    recipe = (
        f"`paper-gradient`, `paper-cross-entropy`: the paper's recipe with one loss or the other, "
        f"SGD at {RATE:.2f}, until no forget sample is assigned its class (at most {STEP_LIMIT} "
        "steps)"
    )
    if key == "table 5":
        return f"{recipe}, with either label and no mask."
    ours = (
        "`ours`: `unlearn` with its defaults, on an ONNX export, with the same "
        "samples and nothing else; its mask also lowers the bias"
    )
    if key == "table 6":
        return f"{recipe}, then the mask. {ours}."
    anchored = (
        "`ours with anchors`: also with as many unlabelled images of each retained class, which "
        "the paper's setting does not have"
    )
    baselines = " and ".join(BASELINES.get(key, ()))
    published = f" {baselines}: published figures only; they are not run here." if baselines else ""
    return f"{recipe}, then the mask. {ours}. {anchored}.{published}"
