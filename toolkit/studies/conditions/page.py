"""The page of `conditions`: a table for each, what it shows, and what was not measured."""

from collections.abc import Mapping, Sequence
from statistics import fmean, median

from nhle_onnx.text import format_percent
from studies.conditions.run import APART, name_case
from studies.conditions.table import CONDITIONS, list_cases
from studies.results import write_results
from studies.strangers.page import MAX_UNMASKED, MIN_DELTA, keeps_limits
from studies.strangers.run import ANCHORS
from studies.tables import Row, get_key, group_rows, make_table, pick_rows
from studies.tasks import FORGET_SAMPLES

NAME = "conditions"
KEY = ("condition", "setting", "network", "others", "forget", "seed")
_SHOWN = ("unmasked", "ΔAcc_R", "steps", "stop", "verdict")
_FEW = 5  # classes that a table lists
_WITH, _WITHOUT, _COUNT = APART
_INTRODUCTION = (
    "`unlearn` with no option where samples are few, classes many, anchors few or odd, several "
    "classes are forgotten at once, or a class is rare or nearly the same as another. Networks "
    "are the two shipped models and some of the development half of "
    "[strangers' networks](strangers.md). Where a table does not say otherwise, samples are "
    f"{FORGET_SAMPLES} images of the class and {ANCHORS} of others, drawn from the training "
    "images by the seed. Judged on the whole test set. `unmasked` is Acc_F with the original head "
    f"put back. A cell keeps the limits of this page with unmasked ≤ {MAX_UNMASKED} and "
    f"ΔAcc_R ≥ {MIN_DELTA}. `passed` counts the tool's own verdicts, by its own limits (0.05 and "
    "-0.035); `silent` are cells that it passed although they miss a limit of this page."
)
_NOTES: Mapping[str, str] = {
    "samples": (
        "Samples of the class to forget, from one to 64, on the shipped LeNet-5 and "
        "MobileNetV3-Small and two networks of others."
    ),
    "many classes": (
        f"Every development network of a hundred classes or more. {ANCHORS} anchors are at most "
        "one or two of each class, and some classes have none."
    ),
    "anchors": (
        "Fewer anchors than usual, anchors of only some retained classes, and pictures of another "
        "kind altogether (digits, characters, composites, clothes), resized to the network's "
        "input and given as `anchors=`."
    ),
    "several at once": (
        "Two and five of ten classes, and twenty of a hundred that are drawn by the seed."
    ),
    "twins": (
        "Four classes of Fashion-MNIST that networks and people confuse: without its own output, "
        "an image of one is taken for another. And one class under two names: every other image "
        "of trousers is labelled as an eleventh class, which is then forgotten."
    ),
    "rare classes": (
        "Networks trained on data in which each class is rarer than the one before: class 9 is "
        "1 % of the training images, class 8 is 1.5 %, class 0 is 33 %. The test sets are even."
    ),
}


def publish(rows: Sequence[Row], seeds: int) -> None:
    """Write the page and the rows."""
    write_results(NAME, "Few samples, many classes, odd anchors", describe(rows, seeds), rows)


def describe(rows: Sequence[Row], seeds: int) -> str:
    """Return the page's text."""
    parts = [_INTRODUCTION]
    for condition in CONDITIONS:
        chosen = pick_rows(rows, condition=condition)
        text = describe_condition(chosen) if chosen else ""
        missing = name_missing(condition, chosen, seeds)
        parts += [f"## {condition.capitalize()}", _NOTES[condition], text, missing]
    return "\n\n".join(filter(None, parts))


def describe_condition(rows: Sequence[Row]) -> str:
    """Compare its settings, classes with and without anchors, and list the cells that miss."""
    groups = group_rows(rows, "setting")
    tables = [make_table([{"setting": key} | summarise(part) for (key,), part in groups.items()])]
    apart = [
        {"setting": key} | compare_parts(part)
        for (key,), part in groups.items()
        if any(row[_COUNT] and row[_WITHOUT] is not None for row in part)
    ]
    if apart:
        tables += ["Retained classes with an anchor, and those without any:", make_table(apart)]
    missed = [describe_miss(row) for row in rows if not keeps_limits(row)]
    kept = f"{len(rows) - len(missed)} of {len(rows)} cells keep the limits."
    return "\n\n".join([*tables, kept + " The others:" * bool(missed), *tabulate(missed)])


def tabulate(rows: Sequence[Row]) -> list[str]:
    """Return a table, if there is anything to show."""
    return [make_table(rows)] if rows else []


def summarise(rows: Sequence[Row]) -> Row:
    """Return counts and figures of a setting; refused cells have no figures."""
    measured = [row for row in rows if row["unmasked"] is not None]
    kept = [row for row in rows if keeps_limits(row)]
    passed = [row for row in rows if row["verdict"] == "PASSED"]
    summary: Row = {
        "cells": len(rows),
        "within limits": format_percent(len(kept) / len(rows)),
        "passed": len(passed),
        "silent": len([row for row in passed if not keeps_limits(row)]),
    }
    names = ("worst unmasked", "mean ΔAcc_R", "worst ΔAcc_R", "median steps")
    if not measured:
        return summary | dict.fromkeys(names, "-")
    deltas = [row["ΔAcc_R"] for row in measured]
    figures = (
        max(row["unmasked"] for row in measured),
        fmean(deltas),
        min(deltas),
        round(median(row["steps"] for row in measured)),
    )
    return summary | dict(zip(names, figures, strict=True))


def compare_parts(rows: Sequence[Row]) -> Row:
    """Compare what classes with and without anchors lost."""
    without = [row for row in rows if row[_WITHOUT] is not None]
    known = [row[_WITH] for row in without if row[_WITH] is not None]
    return {
        "cells": len(without),
        "classes without": round(fmean(row[_COUNT] for row in without)),
        f"mean {_WITH}": fmean(known) if known else "-",
        f"mean {_WITHOUT}": fmean(row[_WITHOUT] for row in without),
        f"worst {_WITHOUT}": min(row[_WITHOUT] for row in without),
    }


def describe_miss(row: Row) -> Row:
    """Describe a cell beyond a limit of the page."""
    classes = row["forget"].split(",")
    few = len(classes) <= _FEW
    network = f"{row['network']}, {row['others']}" if row["others"] else row["network"]
    return {
        "setting": row["setting"],
        "network": network,
        "forget": row["forget"] if few else f"{len(classes)} classes",
        "seed": row["seed"],
        **{name: "-" if row[name] is None else row[name] for name in _SHOWN},
    }


def name_missing(condition: str, rows: Sequence[Row], seeds: int) -> str:
    """Name the planned settings that were not measured, or not in every draw."""
    done = {get_key(row, KEY) for row in rows}
    planned = [name_case(condition, case) for case in list_cases(condition, seeds)]
    left = [row for row in planned if get_key(row, KEY) not in done]
    if not left:
        return ""
    groups = {
        setting: ", ".join(dict.fromkeys(row["network"] for row in part))
        for (setting,), part in group_rows(left, "setting").items()
    }
    settings = "; ".join(f"{setting} ({networks})" for setting, networks in groups.items())
    return f"Not measured, or not in every draw, as time was short: {settings}."
