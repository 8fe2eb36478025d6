"""The page of the comparison: tables, dominating baselines, and the picture."""

from collections.abc import Sequence
from itertools import product
from statistics import fmean

from studies import results
from studies.baselines.shared import STEP_LIMIT
from studies.baselines.table import CANDIDATES, METHODS, Group
from studies.compare_bounds import CELLS, is_undecided
from studies.limits_page import NAME as LIMITS
from studies.limits_page import NETWORK
from studies.plots import Place, draw_scatter
from studies.results import read_rows, write_results
from studies.tables import Row, group_rows, make_sections, make_table, write_spread
from studies.tasks import ANCHORS_PER_CLASS, FORGET_SAMPLES

NAME = "compare"
OURS = "nhle-onnx"
ORIGINAL, RETRAINED = "original", "retrained"
REFERENCE = "reference"  # in place of a group: these two are not methods
TRAINED_AGAIN = (
    "Spotter, CLUE, TREW and ESC were measured on 2026-11-28, on `mlp` and `lenet5`, which were "
    "trained again for it by the same recipe. Their first draws, and those of "
    f"`{OURS}` and `{ORIGINAL}`, are of the new networks; other rows on these two are of earlier "
    "ones, whose accuracies differ by up to 0.01."
)

Baseline = tuple[str, str]  # its group, and its name


def publish(rows: Sequence[Row]) -> None:
    """Write the page and the rows."""
    write_results(NAME, "The tool and other methods", describe(rows), rows)


def publish_picture(rows: Sequence[Row]) -> None:
    """Write the picture that the page shows."""
    draw_scatter(arrange_panels(rows), OURS, results.RESULTS / f"{NAME}.svg")


def describe(rows: Sequence[Row]) -> str:
    """Return the page's text."""
    tables = make_sections(
        {key: summarise(part) for key, part in group_rows(rows, *NETWORK).items()}
    )
    return (
        f"Each method forgets with the same {FORGET_SAMPLES} training images of the class (divided "
        "among several classes), drawn by the seed; where its group has more data, also with the "
        f"same {ANCHORS_PER_CLASS} images of each retained class, without or with labels. It is "
        "measured on all test images. `unmasked` is Acc_F with the original head's weight and "
        "bias. Means ± standard deviation over `runs` classes and seeds: where `runs` differs, so "
        "do the classes, and only the verdict below compares methods on the same ones. `s`: one "
        "run with the chosen setting; `tuning s`: all candidates and their scoring.\n\n"
        f"Every baseline gets the same budget: at most {CANDIDATES} settings, each a run of at "
        f"most {STEP_LIMIT} optimiser steps (the limit of `unlearn`). One rule chooses the best "
        "setting on tuning data: agreement with the original network's prediction among retained "
        "classes (on anchors or retained samples; without any, on pictures made from the forget "
        "samples), minus the share of forget samples not forgotten (averaged over the network's "
        "own head and the original one). It uses no test data. (The candidate settings of SCRUB, "
        "NegGrad, UNSIR and JiT were chosen with a look at the test accuracy of a LeNet-5 trained "
        "on 6,000 images, those of CLUE and Spotter with one at that of the MLP on Fashion-MNIST "
        f"below, which can only favour the baselines.) `{OURS}` is the command `unlearn` with its "
        "defaults, on an ONNX export: nothing was tuned here, and it uses no labels of retained "
        "samples, so it has no row of its own in the last group. Methods that need labels are "
        "there and, with the original's predictions as labels of anchors, in the group before. "
        "Each baseline was written from its published formulas; its docstring in "
        "`toolkit/studies/baselines` says what is simplified and, for Spotter, CLUE and TREW, what "
        "had to be assumed. NG-IR, a baseline of the paper, is missing: no public source for it "
        "was found.\n\n"
        f"{TRAINED_AGAIN}\n\n"
        f"![Acc_R against unmasked Acc_F]({NAME}.svg)\n\n"
        "Large marks are means over all networks, small ones over one. The star is ours; in the "
        "last panel it is ours with anchors.\n\n"
        "## Does a baseline dominate?\n\n"
        f"{make_table(judge(rows, read_rows(LIMITS)))}\n\n"
        "A baseline with the same data or less dominates if its mean unmasked Acc_F and its mean "
        "Acc_R, over the requests and seeds that both have, are no worse than ours and one is "
        f"better. `could be, of {CELLS} cells`: baselines that may dominate over ten classes with "
        f"three draws. Our cells are [all measured]({LIMITS}.md). Those of a baseline need not be: "
        "it is ruled out if it would not dominate even with perfect results in the others.\n\n"
        f"{tables}"
    )


def summarise(rows: Sequence[Row]) -> list[Row]:
    """Make a row of means for each group and method of one network, ours first in its group."""
    return [
        {
            "data": data,
            "method": f"**{method}**" if method == OURS else method,
            "runs": len(chosen),
            **{
                name: write_spread(row[name] for row in chosen)
                for name in ("Acc_F", "unmasked", "Acc_R")
            },
            "s": _write_seconds(chosen, "s"),
            "tuning s": _write_seconds(chosen, "tuning s"),
        }
        for (data, method), chosen in split_methods(rows).items()
    ]


def split_methods(rows: Sequence[Row]) -> dict[Baseline, list[Row]]:
    """Split rows by group and method, in the table's order."""
    order = [
        *((REFERENCE, name) for name in (ORIGINAL, RETRAINED)),
        *(
            (group.value, name)
            for group in Group
            for name in (OURS, *(method.name for method in METHODS if method.group == group))
        ),
    ]
    parts = {key: [row for row in rows if (row["data"], row["method"]) == key] for key in order}
    return {key: part for key, part in parts.items() if part}


def judge(rows: Sequence[Row], limits: Sequence[Row]) -> list[Row]:
    """For each network and group, list the baselines that dominate ours, and those that could."""
    ours = group_rows(limits, *NETWORK)
    return [
        {
            **dict(zip(NETWORK, cell, strict=True)),
            "data": group.value,
            "dominated by": _name_baselines(find_dominating(part, group), group),
            f"could be, of {CELLS} cells": _name_baselines(
                find_undecided(part, ours.get(cell, []), group), group
            ),
        }
        for (cell, part), group in product(group_rows(rows, *NETWORK).items(), Group)
    ]


def _name_baselines(baselines: Sequence[Baseline], group: Group) -> str:
    names = (name if data == group else f"{name} ({data})" for data, name in baselines)
    return ", ".join(names) or "none"


def find_dominating(rows: Sequence[Row], group: Group) -> list[Baseline]:
    """Find baselines with the group's data or less that dominate ours; `rows` are of one network.
    They are no worse in unmasked Acc_F and in Acc_R, and better in one of them.
    """
    own = split_methods(rows).get((find_our_group(group), OURS), [])
    ours = {_get_draw(row): row for row in own}
    found = []
    for baseline, part in split_baselines(rows, group).items():
        pairs = [(row, ours[_get_draw(row)]) for row in part if _get_draw(row) in ours]
        if not pairs:
            continue
        remembers = fmean(row["unmasked"] - our["unmasked"] for row, our in pairs)
        keeps = fmean(row["Acc_R"] - our["Acc_R"] for row, our in pairs)
        if remembers <= 0 <= keeps and (remembers < 0 or keeps > 0):
            found.append(baseline)
    return found


def find_undecided(rows: Sequence[Row], limits: Sequence[Row], group: Group) -> list[Baseline]:
    """Find baselines with the group's data or less that could dominate; rows are of one network."""
    ours = find_our_group(group)
    return [
        baseline
        for baseline, part in split_baselines(rows, group).items()
        if is_undecided(part, limits, ours)
    ]


def split_baselines(rows: Sequence[Row], group: Group) -> dict[Baseline, list[Row]]:
    """Split rows by baseline, for those with the group's data or less."""
    return {
        (data, name): part
        for (data, name), part in split_methods(rows).items()
        if name != OURS and data != REFERENCE and is_within(Group(data), group)
    }


def find_our_group(group: Group) -> Group:
    """Find the group of our row for a group: ours does not use labels of retained samples."""
    return Group.ANCHORS if group == Group.RETAINED else group


def is_within(group: Group, other: Group) -> bool:
    """Whether a group has only data that the other has too."""
    order = list(Group)
    return order.index(group) <= order.index(other)


def arrange_panels(rows: Sequence[Row]) -> dict[str, dict[str, Place]]:
    """Arrange the picture: for each group, its methods and ours."""
    parts = split_methods(rows)
    panels = {}
    for group in Group:
        chosen = {name: part for (data, name), part in parts.items() if data == group}
        if (find_our_group(group), OURS) in parts:
            chosen = {OURS: parts[find_our_group(group), OURS], **chosen}
        if chosen:
            panels[group.value] = {name: _find_place(part) for name, part in chosen.items()}
    return panels


def _find_place(rows: Sequence[Row]) -> Place:
    cells = [
        (_average(part, "unmasked"), _average(part, "Acc_R"))
        for part in group_rows(rows, *NETWORK).values()
    ]
    return Place((fmean(x for x, _ in cells), fmean(y for _, y in cells)), cells)


def _average(rows: Sequence[Row], name: str) -> float:
    return fmean(row[name] for row in rows)


def _get_draw(row: Row) -> tuple[str, int]:
    return row["forget"], row["seed"]


def _write_seconds(rows: Sequence[Row], name: str) -> str:
    values = [row[name] for row in rows if row[name] is not None]
    return f"{fmean(values):.1f}" if values else "-"
