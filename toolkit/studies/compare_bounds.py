"""Which peers could dominate over all classes and draws, whatever those not measured would give."""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import NamedTuple

from studies.baselines.table import Group
from studies.limits_page import ALONE, WITH_ANCHORS
from studies.tables import Row

DRAWS = 3
REQUESTS = tuple(map(str, range(10)))
CELLS = len(REQUESTS) * DRAWS
LIMITED = {Group.FORGET: ALONE, Group.ANCHORS: WITH_ANCHORS}  # where `limits` has our cells
_ROUNDING = 1e-9


class Means(NamedTuple):
    """Over all classes and draws."""

    unmasked: float
    acc_r: float


def list_cells(rows: Iterable[Row]) -> list[Row]:
    """Those of the classes and draws that count, one class at a time."""
    return [row for row in rows if row["forget"] in REQUESTS and row["seed"] < DRAWS]


def measure_ours(limits: Iterable[Row], group: Group) -> Means | None:
    """Our means on one network, of the rows of `limits`; None where any cell is missing."""
    cells = [row for row in list_cells(limits) if row["data"] == LIMITED[group]]
    if len(cells) != CELLS:
        return None
    return Means(
        fmean(row["unmasked"] for row in cells),
        fmean(row["Acc_R before"] + row["ΔAcc_R"] for row in cells),
    )


def could_dominate(rows: Sequence[Row], ours: Means) -> bool:
    """Whether a peer's means may be no worse than ours: in the cells that `rows` lack it would
    remember nothing and keep all.
    """
    cells = list_cells(rows)
    best = Means(
        sum(row["unmasked"] for row in cells) / CELLS,
        (sum(row["Acc_R"] for row in cells) + CELLS - len(cells)) / CELLS,
    )
    return best.unmasked <= ours.unmasked + _ROUNDING and best.acc_r >= ours.acc_r - _ROUNDING


def is_undecided(rows: Sequence[Row], limits: Sequence[Row], group: Group) -> bool:
    """Whether a peer with these rows on one network may yet dominate what we make of the group's
    data there.
    """
    ours = measure_ours(limits, group)
    return ours is None or could_dominate(rows, ours)
