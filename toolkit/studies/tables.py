"""Rows as the tables of a page: grouped, averaged, and judged against limits."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean, pstdev
from typing import Any, NamedTuple

Row = dict[str, Any]
Key = tuple[Any, ...]
FRACTION = ".4f"


class Verdict(NamedTuple):
    """One figure against its limit."""

    name: str
    value: float
    limit: float
    met: bool


def get_key(row: Row, names: Iterable[str]) -> Key:
    """A row's values under some names."""
    return tuple(row[name] for name in names)


def group_rows(rows: Iterable[Row], *names: str) -> dict[Key, list[Row]]:
    """Rows by their values under some names, in the order in which these first appear."""
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        groups.setdefault(get_key(row, names), []).append(row)
    return groups


def pick_rows(rows: Iterable[Row], **values: object) -> list[Row]:
    """The rows that hold all of these values."""
    return [row for row in rows if all(row[name] == value for name, value in values.items())]


def make_table(rows: Sequence[Row]) -> str:
    """Rows as a Markdown table; fractions with four digits."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names)]
    lines += [[_format(row[name]) for name in names] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def make_sections(groups: Mapping[Key, Sequence[Row]]) -> str:
    """A heading and a table for each group."""
    return "\n\n".join(
        f"## {', '.join(key)}\n\n{make_table(lines)}" for key, lines in groups.items()
    )


def tabulate_verdicts(title: str, verdicts: Iterable[Verdict]) -> list[Row]:
    """A row for each verdict, its name under `title`."""
    return [
        {title: name, "value": value, "limit": limit, "met": write_met(met=met)}
        for name, value, limit, met in verdicts
    ]


def write_met(*, met: bool) -> str:
    """Whether a limit is met, so that a miss is seen."""
    return "yes" if met else "NO"


def add_others(sentence: str, missed: Sequence[Row]) -> str:
    """A sentence that says how many cells keep the limits, and a table of those that do not."""
    return f"{sentence} The others:\n\n{make_table(missed)}" if missed else sentence


def write_spread(
    values: Iterable[float | None],
    form: str = FRACTION,
    *,
    deviation: Callable[[Sequence[float]], float] = pstdev,
    missing: str = "-",
) -> str:
    """The mean of what is known, ± the standard deviation of several; `missing` if nothing is."""
    known = [value for value in values if value is not None]
    if not known:
        return missing
    figures = (fmean(known), deviation(known)) if len(known) > 1 else (known[0],)
    return " ± ".join(f"{figure:{form}}" for figure in figures)


def _format(value: object) -> str:
    return f"{value:{FRACTION}}" if isinstance(value, float) else str(value)
