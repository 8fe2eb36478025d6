"""Which baselines could dominate over all classes and draws, with the best in unmeasured cells."""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import NamedTuple

from studies.baselines.table import Group
from studies.limits_page import ALONE, WITH_ANCHORS
from studies.tables import Row

DRAWS = 3
REQUESTS = tuple(map(str, range(10)))
CELLS = len(REQUESTS) * DRAWS
LIMITED = {Group.FORGET: ALONE, Group.ANCHORS: WITH_ANCHORS}  # the data of our cells in `limits`
_ROUNDING = 1e-9


class Means(NamedTuple):
    """Means over all classes and draws."""

    unmasked: float
    acc_r: float


def list_cells(rows: Iterable[Row]) -> list[Row]:
    """List the cells that count, one class at a time."""
    return [row for row in rows if row["forget"] in REQUESTS and row["seed"] < DRAWS]


def measure_ours(limits: Iterable[Row], group: Group) -> Means | None:
    """Return our means on one network, from the rows of `limits`; None if a cell is missing."""
    cells = [row for row in list_cells(limits) if row["data"] == LIMITED[group]]
    if len(cells) != CELLS:
        return None
    return Means(
        fmean(row["unmasked"] for row in cells),
        fmean(row["Acc_R before"] + row["ΔAcc_R"] for row in cells),
    )


def could_dominate(rows: Sequence[Row], ours: Means) -> bool:
    """Whether a baseline's means would be no worse than ours, if it remembered nothing and kept
    everything in the cells that `rows` lack.
    """
    cells = list_cells(rows)
    best = Means(
        sum(row["unmasked"] for row in cells) / CELLS,
        (sum(row["Acc_R"] for row in cells) + CELLS - len(cells)) / CELLS,
    )
    return best.unmasked <= ours.unmasked + _ROUNDING and best.acc_r >= ours.acc_r - _ROUNDING


def is_undecided(rows: Sequence[Row], limits: Sequence[Row], group: Group) -> bool:
    """Whether a baseline with these rows on one network may still dominate ours in the group."""
    ours = measure_ours(limits, group)
    return ours is None or could_dominate(rows, ours)
