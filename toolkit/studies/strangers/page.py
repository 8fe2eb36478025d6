"""The page of `strangers`: how the default does on each network, and the cells that miss."""

from collections.abc import Mapping, Sequence
from statistics import fmean, median

from nhle_onnx.text import format_percent
from studies.results import write_results
from studies.strangers.courses import PICTURE
from studies.strangers.run import ANCHORS, DRAWS
from studies.strangers.table import STRANGERS, Half, Stranger
from studies.tables import Row, group_rows, make_table
from studies.tasks import FORGET_SAMPLES

NAME = "strangers"
KEY = ("network", "forget", "seed")
MAX_UNMASKED = 0.02
MIN_DELTA = -0.02
_BY_NAME = {stranger.name: stranger for stranger in STRANGERS}
_INTRODUCTION = (
    f"`unlearn` with no option on {len(STRANGERS)} small networks that differ as other people's "
    "networks do: in recipe, architecture and data. Half of them, fixed before anything was "
    "measured, are for development; the other half is for one final run. Three classes of each "
    f"network, up to {DRAWS} draws of {FORGET_SAMPLES} forget samples and {ANCHORS} unlabelled "
    "anchors of the other classes; judged on all test images. `unmasked` is Acc_F with the "
    f"original head put back. A cell keeps the limits of this page with unmasked ≤ {MAX_UNMASKED} "
    f"and ΔAcc_R ≥ {MIN_DELTA}; `verdict` is the tool's own, by its default limits, on the same "
    "images."
)
_COURSES = (
    f"![Margin, drift, weight and step size of each step]({PICTURE})\n\n"
    "How the budget is spent on three networks of the development half (`strangers courses` draws "
    "it): the margin by which the surest forget sample of each step still wins or loses, the "
    "drift, the weight, and the step size. Dashed: the margin that counts as surely forgotten, "
    "and the bound of the drift."
)
_DEVELOPMENT = "The half that the method was developed on."
_FINAL = (
    "The half that was kept aside: its recipes were fixed beforehand, each cell was run once, and "
    "nothing was changed because of a result. The first draw of the 23 networks that train "
    "fastest was measured first. All other cells followed a change that exporters' networks had "
    "called for: where training settles within the drift bound and has not forgotten, the bound "
    "doubles."
)
_ORDERS: Mapping[Half, str] = {
    "development": "networks are measured in the table's order",
    "final": "networks are measured first whose counterparts in the other half trained fastest",
}
_HALVES: Mapping[Half, str] = {"development": _DEVELOPMENT, "final": _FINAL}
_FIGURES = (
    "Acc_F before",
    "Acc_R before",
    "worst Acc_F",
    "median unmasked",
    "worst unmasked",
    "mean ΔAcc_R",
    "median ΔAcc_R",
    "worst ΔAcc_R",
    "median steps",
    "median CPU s",
)


def publish(rows: Sequence[Row]) -> None:
    """Write the page and the rows."""
    write_results(NAME, "Strangers' networks", describe(rows), rows)


def describe(rows: Sequence[Row]) -> str:
    """Return the page's text, which says which half was measured."""
    parts = [_INTRODUCTION, _COURSES]
    for half, note in _HALVES.items():
        chosen = [row for row in rows if _BY_NAME[row["network"]].half == half]
        text = describe_half(chosen) if chosen else "Not measured yet."
        parts.append(f"## The {half} half\n\n{note}\n\n{text}{name_missing(half, chosen)}")
    return "\n\n".join(parts)


def name_missing(half: Half, rows: Sequence[Row]) -> str:
    """Name the networks of a half that were not measured, if others were."""
    measured = {row["network"] for row in rows}
    missing = [each.name for each in STRANGERS if each.half == half and each.name not in measured]
    if not measured or not missing:
        return ""
    names = ", ".join(missing)
    return f"\n\nNot measured, as time was short ({_ORDERS[half]}): {names}."


def describe_half(rows: Sequence[Row]) -> str:
    """Describe all cells together, each network, and each cell that missed."""
    networks = [
        describe_network(_BY_NAME[name]) | summarise(part)
        for (name,), part in group_rows(rows, "network").items()
    ]
    missed = [row for row in rows if not keeps_limits(row)]
    text = f"{make_table([summarise(rows)])}\n\n{make_table(networks)}"
    columns = (*KEY, "Acc_F", "unmasked", "ΔAcc_R", "steps", "stop", "verdict")
    table = make_table([{name: row[name] for name in columns} for row in missed]) if missed else ""
    silent = len([row for row in missed if row["verdict"] == "PASSED"])
    sentence = (
        f"{len(missed)} of {len(rows)} cells miss a limit of this page; the tool passed {silent} "
        "of them, by its own (unmasked 0.05, ΔAcc_R -0.035)."
    )
    return f"{text}\n\n### Cells that missed\n\n{sentence}\n\n{table}".rstrip()


def describe_network(stranger: Stranger) -> Row:
    """Say what a network is."""
    return {
        "network": stranger.name,
        "kind": stranger.network.family,
        "data": stranger.data,
    }


def summarise(rows: Sequence[Row]) -> Row:
    """Return medians, the worst, and the share of cells within limits; refusals have no figures."""
    measured = [row for row in rows if row["unmasked"] is not None]
    kept = sum(keeps_limits(row) for row in rows)
    summary: Row = {
        "cells": len(rows),
        "within limits": format_percent(kept / len(rows), 1),
        "passed": len([row for row in rows if row["verdict"] == "PASSED"]),
        "refused": len(rows) - len(measured),
    }
    if not measured:
        return summary | dict.fromkeys(_FIGURES, "-")
    unmasked = [row["unmasked"] for row in measured]
    deltas = [row["ΔAcc_R"] for row in measured]
    figures = (
        median(row["Acc_F before"] for row in measured),
        median(row["Acc_R before"] for row in measured),
        max(row["Acc_F"] for row in measured),
        median(unmasked),
        max(unmasked),
        fmean(deltas),
        median(deltas),
        min(deltas),
        median(row["steps"] for row in measured),
        median(row["CPU s"] for row in measured),
    )
    return summary | dict(zip(_FIGURES, figures, strict=True))


def keeps_limits(row: Row) -> bool:
    """Whether the class is gone from the features and the others are unharmed."""
    return (
        row["unmasked"] is not None
        and row["unmasked"] <= MAX_UNMASKED
        and row["ΔAcc_R"] >= MIN_DELTA
    )
