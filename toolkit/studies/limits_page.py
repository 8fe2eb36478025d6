"""The page of `limits`: a verdict on each limit, a table, and the picture."""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from studies import results
from studies.plots import Strips, draw_strips
from studies.results import write_results
from studies.tables import (
    Row,
    Verdict,
    add_others,
    group_rows,
    make_table,
    pick_rows,
    tabulate_verdicts,
)
from studies.tasks import ANCHORS_PER_CLASS

NAME = "limits"
NETWORK = ("dataset", "network")
KEY = (*NETWORK, "forget", "data", "seed")


class Limits(NamedTuple):
    """The limits of every cell, and of the mean and the worst ΔAcc_R over all cells."""

    acc_f: float
    unmasked: float
    mean_delta: float
    worst_delta: float


WITH_ANCHORS, ALONE = "forget samples and anchors", "forget samples alone"
LIMITS = {
    WITH_ANCHORS: Limits(0.005, 0.01, 0.0, -0.010),
    ALONE: Limits(0.01, 0.05, -0.010, -0.035),
}


def publish(rows: Sequence[Row]) -> None:
    """Write the page."""
    body = (
        "`unlearn` without options on networks trained by one recipe, with 16 samples of the "
        f"class to forget (8 each for two classes), and {ANCHORS_PER_CLASS} unlabelled anchors of "
        "each retained class or none at all, drawn from the training images by the seed; measured "
        "on all test images. `unmasked` is Acc_F with the original head. ResNet-18 has its "
        "standard stem, on images of 32 x 32.\n\n"
        f"![Unmasked Acc_F and ΔAcc_R of every cell]({NAME}.svg)\n\n"
        "Each mark is one cell: one request with one draw of samples. Lines are the limits.\n\n"
        f"{describe(rows)}"
    )
    write_results(NAME, "One setting for all", body, rows)


def publish_picture(rows: Sequence[Row]) -> None:
    """Write the picture that the page shows."""
    panels = {
        "unmasked": ("unmasked Acc_F", {data: limit.unmasked for data, limit in LIMITS.items()}),
        "ΔAcc_R": ("ΔAcc_R", {data: limit.worst_delta for data, limit in LIMITS.items()}),
    }
    draw_strips(
        [
            Strips(title, {data: _group(rows, data, column) for data in LIMITS}, limits)
            for column, (title, limits) in panels.items()
        ],
        results.RESULTS / f"{NAME}.svg",
    )


def describe(rows: Sequence[Row]) -> str:
    """Describe each kind of data: a table of the limits, and one of the networks."""
    parts = []
    for data, limit in LIMITS.items():
        chosen = pick_rows(rows, data=data)
        if not chosen:
            continue
        cells = [
            dict(zip(NETWORK, key, strict=True)) | summarise(part)
            for key, part in group_rows(chosen, *NETWORK).items()
        ]
        verdicts = judge(summarise(chosen), limit)
        parts.append(
            f"## With {data}\n\n{make_table(verdicts)}\n\n{make_table(cells)}\n\n"
            f"{describe_misses(chosen, limit)}"
        )
    return "\n\n".join(parts)


def describe_misses(rows: Sequence[Row], limit: Limits) -> str:
    """Describe the cells beyond a limit."""
    missed = [
        {name: row[name] for name in (*KEY, "Acc_F", "unmasked", "ΔAcc_R")}
        | {"unmasked, other draws": _list_others(rows, row)}
        for row in rows
        if row["Acc_F"] > limit.acc_f
        or row["unmasked"] > limit.unmasked
        or row["ΔAcc_R"] < limit.worst_delta
    ]
    count = f"{len(rows) - len(missed)} of {len(rows)} cells keep every limit."
    return add_others(count, missed)


def _list_others(rows: Sequence[Row], missed: Row) -> str:
    """List unmasked Acc_F with other samples of the same class in the same network."""
    others = pick_rows(rows, **{name: missed[name] for name in KEY if name != "seed"})
    return ", ".join(f"{row['unmasked']:.4f}" for row in others if row is not missed)


def summarise(rows: Sequence[Row]) -> Row:
    """Return the worst and the mean over cells."""
    deltas = [row["ΔAcc_R"] for row in rows]
    return {
        "cells": len(rows),
        "Acc_F before": fmean(row["Acc_F before"] for row in rows),
        "worst Acc_F": max(row["Acc_F"] for row in rows),
        "worst unmasked": max(row["unmasked"] for row in rows),
        "mean unmasked": fmean(row["unmasked"] for row in rows),
        "Acc_R before": fmean(row["Acc_R before"] for row in rows),
        "mean ΔAcc_R": fmean(deltas),
        "worst ΔAcc_R": min(deltas),
        "mean steps": fmean(row["steps"] for row in rows),
        "mean s": fmean(row["s"] for row in rows),
    }


def judge(summary: Row, limit: Limits) -> list[Row]:
    """Make a row for each limit."""
    upper = {"worst Acc_F": limit.acc_f, "worst unmasked": limit.unmasked}
    lower = {"mean ΔAcc_R": limit.mean_delta, "worst ΔAcc_R": limit.worst_delta}
    verdicts = [
        Verdict(name, summary[name], end, summary[name] <= end) for name, end in upper.items()
    ]
    verdicts += [
        Verdict(name, summary[name], end, summary[name] >= end) for name, end in lower.items()
    ]
    return tabulate_verdicts("measure", verdicts)


def _group(rows: Sequence[Row], data: str, column: str) -> dict[str, list[float]]:
    return {
        f"{network}\n{dataset}": [row[column] for row in pick_rows(part, data=data)]
        for (dataset, network), part in group_rows(rows, *NETWORK).items()
    }
