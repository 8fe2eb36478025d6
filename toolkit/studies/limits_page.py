"""The page of `limits`: a verdict on each limit, a table, and the picture."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any, NamedTuple

from studies import results
from studies.results import make_table, write_results
from studies.strips import Strips, draw_strips
from studies.tasks import ANCHORS_PER_CLASS

NAME = "limits"
KEY = ("dataset", "network", "forget", "data", "seed")

Row = dict[str, Any]


class Limits(NamedTuple):
    """What every cell must keep, and the mean and the worst of ΔAcc_R over all cells."""

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
    """Write the page; it says which cells there are."""
    body = (
        "`unlearn` with no option on networks trained by one recipe, 16 samples of the class to "
        f"forget (8 each for two classes), {ANCHORS_PER_CLASS} unlabelled anchors a retained class "
        "or none at all, drawn from the training images by the seed; judged on all test images. "
        "`unmasked` is Acc_F with the original head put back. ResNet-18 has its standard stem, on "
        "images of 32 x 32.\n\n"
        f"![Unmasked Acc_F and ΔAcc_R of every cell]({NAME}.svg)\n\n"
        "A mark is one cell: a request, a draw of samples. Lines are the limits.\n\n"
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
    """A table against the limits, and one for each network."""
    parts = []
    for data, limit in LIMITS.items():
        chosen = [row for row in rows if row["data"] == data]
        if not chosen:
            continue
        keys = dict.fromkeys((row["dataset"], row["network"]) for row in chosen)
        cells = [
            {"dataset": key[0], "network": key[1]}
            | summarise([row for row in chosen if (row["dataset"], row["network"]) == key])
            for key in keys
        ]
        verdicts = judge(summarise(chosen), limit)
        parts.append(
            f"## With {data}\n\n{make_table(verdicts)}\n\n{make_table(cells)}\n\n"
            f"{describe_misses(chosen, limit)}"
        )
    return "\n\n".join(parts)


def describe_misses(rows: Sequence[Row], limit: Limits) -> str:
    """The cells beyond a limit."""
    missed = [
        {name: row[name] for name in (*KEY, "Acc_F", "unmasked", "ΔAcc_R")}
        | {"unmasked, other draws": _list_others(rows, row)}
        for row in rows
        if row["Acc_F"] > limit.acc_f
        or row["unmasked"] > limit.unmasked
        or row["ΔAcc_R"] < limit.worst_delta
    ]
    count = f"{len(rows) - len(missed)} of {len(rows)} cells keep every limit."
    return f"{count} The others:\n\n{make_table(missed)}" if missed else count


def _list_others(rows: Sequence[Row], missed: Row) -> str:
    """What other samples of the same class leave in the same network."""
    same = [name for name in KEY if name != "seed"]
    others = [row for row in rows if all(row[name] == missed[name] for name in same)]
    return ", ".join(f"{row['unmasked']:.4f}" for row in others if row is not missed)


def summarise(rows: Sequence[Row]) -> Row:
    """The worst and the mean over cells."""
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


def judge(summary: dict[str, Any], limit: Limits) -> list[Row]:
    """A row for each limit."""
    judged = [
        ("worst Acc_F", limit.acc_f, summary["worst Acc_F"] <= limit.acc_f),
        ("worst unmasked", limit.unmasked, summary["worst unmasked"] <= limit.unmasked),
        ("mean ΔAcc_R", limit.mean_delta, summary["mean ΔAcc_R"] >= limit.mean_delta),
        ("worst ΔAcc_R", limit.worst_delta, summary["worst ΔAcc_R"] >= limit.worst_delta),
    ]
    return [
        {"measure": name, "value": summary[name], "limit": value, "met": "yes" if met else "NO"}
        for name, value, met in judged
    ]


def _group(rows: Sequence[Row], data: str, column: str) -> dict[str, list[float]]:
    networks = dict.fromkeys((row["dataset"], row["network"]) for row in rows)
    return {
        f"{network}\n{dataset}": [
            row[column]
            for row in rows
            if (row["dataset"], row["network"], row["data"]) == (dataset, network, data)
        ]
        for dataset, network in networks
    }
