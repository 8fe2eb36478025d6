"""The page of `quantized`: parity, a verdict on each limit, formats, routes and pictures."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean, median

from studies import results
from studies.classes import LIMITS
from studies.formats import BLOCK, FORMATS
from studies.plots import Strips, draw_strips
from studies.quantized_parity import describe_parity
from studies.quantized_rows import (
    KEY,
    LEAST_DELTA,
    PARITY,
    ROUTES,
    SIZE_BYTES,
    TOOL,
    count_kept,
    keeps,
    list_formats,
    list_measured,
    list_networks,
    reduce_to,
)
from studies.results import write_results
from studies.tables import Row, Verdict, add_others, make_table, pick_rows, tabulate_verdicts

NAME = "quantized"
PACE = ("latency", "given again")
LATENCY = (0.95, 1.05)


def publish(rows: Sequence[Row]) -> None:
    """Write the page."""
    body = (
        "Both shipped models in the formats that ONNX Runtime's own quantizer writes, calibrated "
        "on the images of `calibration_samples/` (except `dynamic`, which needs none, and "
        "runs one image at a time), and measured on `evaluation.npz` beside them.\n\n"
        f"{describe(rows)}"
    )
    write_results(NAME, "Quantized models", body, rows)


def publish_pictures(rows: Sequence[Row]) -> None:
    """Write the picture of each network on the page."""
    for network in list_networks(rows):
        chosen = pick_rows(list_measured(rows), network=network)
        if not chosen:
            continue
        panels = {
            "unmasked": ("unmasked Acc_F", LIMITS["unmasked"]),
            "ΔAcc_R": ("ΔAcc_R", LIMITS["delta_acc_r"]),
        }
        draw_strips(
            [
                Strips(title, group(chosen, column), dict.fromkeys(ROUTES, limit))
                for column, (title, limit) in panels.items()
            ],
            results.RESULTS / name_picture(network),
        )


def describe(rows: Sequence[Row]) -> str:
    """Return the page's text."""
    order = list(FORMATS)
    rows = sorted(rows, key=lambda row: (row["network"], order.index(row["format"])))
    parts = [describe_parity(pick_rows(rows, kind=PARITY))]
    if list_networks(rows):
        parts.append(describe_verdicts(pick_rows(rows, kind=TOOL)))
    parts += [describe_network(rows, network) for network in list_networks(rows)]
    return "\n\n".join(filter(None, parts))


def describe_verdicts(rows: Sequence[Row]) -> str:
    """Compare the tool with the limits, over all cells."""
    measured = list_measured(rows)
    verdicts = f"{make_table(judge(measured))}\n\n" if measured else ""
    missed = [describe_miss(row) for row in rows if not keeps(row)]
    low, high = LATENCY
    paced, noise = (sum(low <= row[column] <= high for row in measured) for column in PACE)
    return (
        "## The tool on the quantized file\n\n"
        "`unlearn MODEL --forget C` without other options, compared on all evaluation images with "
        "the given quantized model. `unmasked` is Acc_F with the original head.\n\n"
        f"{verdicts}"
        f"{paced} of {len(measured)} edited models run at {low} to {high} of the latency of the "
        "model as given (median of alternating runs, on one image and one thread); timed likewise, "
        f"{noise} of {len(measured)} models as given do so against themselves. "
        f"{add_others(f'{count_kept(rows)} cells keep every limit.', missed)}"
    )


def describe_miss(row: Row) -> Row:
    """Describe a cell beyond a limit."""
    figures = ("Acc_F", "unmasked", "ΔAcc_R", "bytes")
    return {
        **{name: row[name] for name in KEY[1:]},
        **{name: row.get(name, "-") for name in figures},
        "refused": row["refused"] or "no",
    }


def judge(rows: Sequence[Row]) -> list[Row]:
    """Make a row for each limit, with the worst cell."""
    delta = min(row["ΔAcc_R"] for row in rows)
    upper = {"Acc_F": LIMITS["acc_f"], "unmasked": LIMITS["unmasked"], "bytes": SIZE_BYTES}
    worst = {name: max(abs(row[name]) for row in rows) for name in upper}
    verdicts = [
        Verdict(name, worst[name], limit, worst[name] <= limit) for name, limit in upper.items()
    ]
    verdicts.append(Verdict("ΔAcc_R", delta, LIMITS["delta_acc_r"], delta >= LEAST_DELTA))
    return tabulate_verdicts("worst", verdicts)


def describe_network(rows: Sequence[Row], network: str) -> str:
    """Describe one network: a table of formats, the picture, and the routes side by side."""
    chosen = [row for row in rows if row["network"] == network and row["kind"] in ROUTES]
    formats = list_formats(chosen)
    by_tool = [
        {"format": name} | summarise(pick_rows(chosen, format=name, kind=TOOL)) for name in formats
    ]
    return (
        f"## {network}\n\n"
        f"{make_table(by_tool)}\n\n"
        "`changed`: the maximum number of changed tensors of each kind, over classes. `latency`: "
        "the edited model's relative to the given one's, for the median class; `given again` is "
        f"the given one's relative to its own. `qdq-int4-blocks` has blocks of {BLOCK} weights of "
        "MatMul layers; its convolutions stay in floats.\n\n"
        f"![Unmasked Acc_F and ΔAcc_R of every cell of {network}]({name_picture(network)})\n\n"
        f"Each mark is one class. Lines are the limits.{describe_routes(chosen, network)}"
    )


def describe_routes(rows: Sequence[Row], network: str) -> str:
    """Compare the tool with the ways around through floats, where these were measured."""
    if not {row["kind"] for row in rows} - {TOOL}:
        return ""
    routes = [compare_routes(pick_rows(rows, format=name), name) for name in list_formats(rows)]
    return (
        f"\n\n### {network}: the ways around through floats\n\n"
        f"{make_table(routes)}\n\n"
        "Mean Acc_F · mean unmasked · mean ΔAcc_R · cells that keep every limit. `float-first`: "
        "the float model forgets and is then quantized, by the same quantizer on the same images. "
        "`dequantized`: the float graph gets the quantized model's values, forgets, and is "
        f"quantized again. {describe_loss(rows)}"
    )


def describe_loss(rows: Sequence[Row]) -> str:
    """Describe the cost of quantizing after the tool."""
    anew = [row for row in rows if row["kind"] != TOOL and not row["refused"]]
    lost = [row for row in anew if row["ΔAcc_R"] < LIMITS["delta_acc_r"]]
    known = [row for row in anew if row["unmasked"] > LIMITS["unmasked"]]
    text = (
        f"Of {len(anew)} models quantized after they forgot, {len(lost)} lose more than "
        f"{-LIMITS['delta_acc_r']:g} of Acc_R{name_formats(lost)}, and {len(known)} recognise more "
        f"than {LIMITS['unmasked']:g} of the class with the original head{name_formats(known)}."
    )
    if not lost:
        return text
    kept = fmean(row["ΔAcc_R restored"] for row in lost)
    return (
        f"{text} Where scores are quantized, the quantizer includes the mask's floor in the range "
        "of their scale, which leaves only one number for all other scores. With the original "
        "head restored before quantization, the models that lose so much have a mean ΔAcc_R of "
        f"{kept:+.4f}."
    )


def name_formats(rows: Sequence[Row]) -> str:
    """Name the formats of some rows, in brackets."""
    return f" ({', '.join(list_formats(rows))})" if rows else ""


def summarise(rows: Sequence[Row]) -> Row:
    """Summarise one format over the classes: means and worst values."""
    measured = list_measured(rows)
    return {
        "cells": len(rows),
        "Acc_F before": reduce_to(fmean, measured, "Acc_F before"),
        "worst Acc_F": reduce_to(max, measured, "Acc_F"),
        "mean unmasked": reduce_to(fmean, measured, "unmasked"),
        "worst unmasked": reduce_to(max, measured, "unmasked"),
        "Acc_R before": reduce_to(fmean, measured, "Acc_R before"),
        "mean ΔAcc_R": reduce_to(fmean, measured, "ΔAcc_R"),
        "worst ΔAcc_R": reduce_to(min, measured, "ΔAcc_R"),
        "mean steps": reduce_to(fmean, measured, "steps"),
        "mean s": reduce_to(fmean, measured, "s"),
        "bytes added": reduce_to(max, measured, "bytes"),
        "changed": describe_changes(measured),
        "same graph": "yes" if measured and all(row["same graph"] for row in measured) else "NO",
        **{column: reduce_to(median, measured, column) for column in PACE},
        "kept": count_kept(rows),
    }


def compare_routes(rows: Sequence[Row], name: str) -> Row:
    """Compare the routes for one format."""
    line: Row = {"format": name}
    for route in ROUTES:
        chosen = pick_rows(rows, kind=route)
        measured = list_measured(chosen)
        figures = [reduce_to(fmean, measured, column) for column in ("Acc_F", "unmasked", "ΔAcc_R")]
        parts = [figure if isinstance(figure, str) else f"{figure:.4f}" for figure in figures]
        line[route] = " · ".join([*parts, count_kept(chosen)]) if chosen else "-"
    return line


def describe_changes(rows: Sequence[Row]) -> str:
    """Describe the maximum number of changed tensors of each kind."""
    most: Counter[str] = Counter()
    for row in rows:
        most |= Counter(row["changed"])
    return ", ".join(f"{number} {kind}" for kind, number in sorted(most.items())) or "-"


def group(rows: Sequence[Row], column: str) -> dict[str, dict[str, list[float]]]:
    """Group values by route and format."""
    return {
        route: {
            name.replace("-", "\n"): [
                row[column] for row in pick_rows(rows, format=name, kind=route)
            ]
            for name in list_formats(rows)
        }
        for route in ROUTES
        if pick_rows(rows, kind=route)
    }


def name_picture(network: str) -> str:
    """Return the file name of one network's picture."""
    return f"{NAME}.{network}.svg"
