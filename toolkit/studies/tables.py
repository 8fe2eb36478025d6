"""Rows as tables of a page: grouped, averaged, and compared with limits."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise, takewhile
from math import ceil
from statistics import fmean, pstdev
from typing import Any, NamedTuple

Row = dict[str, Any]
Key = tuple[Any, ...]
FRACTION = ".4f"
WIDEST = 9  # columns of a table
_MOST_KEYS = 3  # columns that each part of a wide table repeats


class Verdict(NamedTuple):
    """One figure and its limit."""

    name: str
    value: float
    limit: float
    met: bool


def get_key(row: Row, names: Iterable[str]) -> Key:
    """Return a row's values under some names."""
    return tuple(row[name] for name in names)


def group_rows(rows: Iterable[Row], *names: str) -> dict[Key, list[Row]]:
    """Group rows by their values under some names, in order of first appearance."""
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        groups.setdefault(get_key(row, names), []).append(row)
    return groups


def pick_rows(rows: Iterable[Row], **values: object) -> list[Row]:
    """Pick the rows that have all of these values."""
    return [row for row in rows if all(row[name] == value for name, value in values.items())]


def make_table(rows: Sequence[Row]) -> str:
    """Make a Markdown table of rows; fractions have four digits. A wide one becomes several, each
    with the columns that name the row.
    """
    names = list(rows[0])
    lines = [[_format(row[name]) for name in names] for row in rows]
    return "\n\n".join(
        write_table([[line[place] for place in places] for line in (names, *lines)])
        for places in divide_columns(lines)
    )


def write_table(lines: Sequence[Sequence[str]]) -> str:
    """Write cells as a Markdown table; the first line is its head."""
    head, *others = lines
    whole = (head, ["---"] * len(head), *others)
    return "\n".join(f"| {' | '.join(line)} |" for line in whole)


def divide_columns(lines: Sequence[Sequence[str]]) -> list[list[int]]:
    """Divide columns among tables of about equal width that fit on a page."""
    places = list(range(len(lines[0])))
    if len(places) <= WIDEST:
        return [places]
    keys = list(takewhile(lambda place: not any(_is_figure(line[place]) for line in lines), places))
    keys = keys[:_MOST_KEYS] or places[:1]
    others = places[len(keys) :]
    count = ceil(len(others) / (WIDEST - len(keys)))
    ends = [round(len(others) * part / count) for part in range(count + 1)]
    return [keys + others[start:end] for start, end in pairwise(ends)]


def _is_figure(cell: str) -> bool:
    return cell[:1].isdigit() or cell[:1] in ("-", "+")


def make_sections(groups: Mapping[Key, Sequence[Row]]) -> str:
    """Make a heading and a table for each group."""
    return "\n\n".join(
        f"## {', '.join(key)}\n\n{make_table(lines)}" for key, lines in groups.items()
    )


def tabulate_verdicts(title: str, verdicts: Iterable[Verdict]) -> list[Row]:
    """Make a row for each verdict, its name under `title`."""
    return [
        {title: name, "value": value, "limit": limit, "met": write_met(met=met)}
        for name, value, limit, met in verdicts
    ]


def write_met(*, met: bool) -> str:
    """Write whether a limit is met, so that misses stand out."""
    return "yes" if met else "NO"


def add_others(sentence: str, missed: Sequence[Row]) -> str:
    """Add a table of the cells that miss a limit to the sentence that counts the others."""
    return f"{sentence} The others:\n\n{make_table(missed)}" if missed else sentence


def write_spread(
    values: Iterable[float | None],
    form: str = FRACTION,
    *,
    deviation: Callable[[Sequence[float]], float] = pstdev,
    missing: str = "-",
) -> str:
    """Write the mean ± standard deviation of known values; `missing` if there are none."""
    known = [value for value in values if value is not None]
    if not known:
        return missing
    figures = (fmean(known), deviation(known)) if len(known) > 1 else (known[0],)
    return " ± ".join(f"{figure:{form}}" for figure in figures)


def _format(value: object) -> str:
    return f"{value:{FRACTION}}" if isinstance(value, float) else str(value)
