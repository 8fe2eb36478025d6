"""Rows as tables of a page: grouped, averaged, and compared with limits."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean, pstdev
from typing import Any, NamedTuple

Row = dict[str, Any]
Key = tuple[Any, ...]
FRACTION = ".4f"


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
    """Make a Markdown table of rows; fractions have four digits."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names)]
    lines += [[_format(row[name]) for name in names] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


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
