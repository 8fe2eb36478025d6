"""The page about hostile files and kills."""

from collections import Counter
from collections.abc import Mapping, Sequence

from studies.tables import Row, make_table, pick_rows
from support.faults import Kill, count_kills
from support.fuzzing.commands import MAX_MEMORY_MIB, MAX_SECONDS
from tools.faults import METHOD

TITLES = {
    "models": "Changed models",
    "training": "Changed models, trained",
    "patches": "Changed patches",
    "tars": "Changed tars",
    "parquets": "Changed Parquet files",
    "arrays": "Changed .npz files",
    "images": "Changed images",
}
_OUTCOMES = (
    "done", "gate failed", "usage", "refused", "not supported", "crash contained",
    "stopped for memory", "stopped for time", "not judged", "other",
)  # fmt: skip


def describe(rows: Sequence[Row]) -> str:
    """Return the page's body, from all rows so far."""
    parts = {part: pick_rows(rows, part=part) for part in ("named", "kills")}
    chunks = {part: pick_rows(rows, part=part) for part in TITLES}
    sections = [_describe_all(parts, chunks)]
    if parts["named"]:
        sections.append(_describe_named(parts["named"]))
    sections += [_describe_chunks(TITLES[part], found) for part, found in chunks.items() if found]
    if parts["kills"]:
        sections.append(_describe_kills(parts["kills"]))
    return "\n\n".join(sections)


def _describe_all(parts: Mapping[str, Sequence[Row]], chunks: Mapping[str, Sequence[Row]]) -> str:
    table = [
        _sum_up("named hostile files", parts["named"], len(parts["named"]), "complaints"),
        *(
            _sum_up(TITLES[part].lower(), found, sum(row["cases"] for row in found), "findings")
            for part, found in chunks.items()
        ),
        _sum_up("kills", parts["kills"], _count_kills(parts["kills"]), "faults"),
    ]
    return (
        "Files that an attacker could send are given to the program's commands, each in its own "
        f"processes with `--max-seconds {MAX_SECONDS} --max-memory {MAX_MEMORY_MIB}MiB`. "
        "A finding is any undocumented behaviour: an undocumented exit code, a "
        "traceback, no error line or more than one, control characters on the terminal, memory "
        "beyond the limit, more than 10 seconds of processor time, running until it is stopped, "
        "a changed input, a leftover file, or a result of `patch apply` that does not "
        "match the patch. Seconds are processor time, as the machine may do other work. "
        "Memory is the peak of a process of the command, including imports.\n\n" + make_table(table)
    )


def _sum_up(name: str, rows: Sequence[Row], tried: int, key: str) -> Row:
    measured = [row for row in rows if "longest_s" in row]
    return {
        "": name,
        "tried": tried,
        "findings": sum(len(row[key]) for row in rows),
        "longest, s": f"{max(row['longest_s'] for row in measured):.1f}" if measured else "-",
        "most memory, MiB": max((row["peak_bytes"] // 2**20 for row in measured), default="-"),
    }


def _describe_named(rows: Sequence[Row]) -> str:
    table = [
        {
            "file": row["name"],
            "tries": row["tries"],
            "outcome": ", ".join(dict.fromkeys(row["outcomes"])),
            "s": f"{row['longest_s']:.1f}",
            "MiB": row["peak_bytes"] // 2**20,
            "findings": "; ".join(row["complaints"]) or "none",
        }
        for row in rows
    ]
    return (
        "## Named hostile files\n\n`tries` says what a file does, or is there to do, to a program "
        f"that trusts it.\n\n{make_table(table)}"
    )


def _describe_chunks(title: str, rows: Sequence[Row]) -> str:
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        for command, found in row["outcomes"].items():
            counts.setdefault(command, Counter()).update(found)
    seen = [name for name in _OUTCOMES if any(found[name] for found in counts.values())]
    table = [
        {"command": command, "tried": sum(found.values()), **{name: found[name] for name in seen}}
        for command, found in counts.items()
    ]
    contained = [each for row in rows for each in row["contained"]]
    findings = [each for row in rows for each in row["findings"]]
    return "\n\n".join(
        [
            f"## {title}\n\n{make_table(table)}",
            *_list_cases("Crashes of native code, and runs at a limit: exit code 3", contained),
            *_list_cases("Findings", findings),
        ]
    )


def _list_cases(title: str, cases: Sequence[Row]) -> list[str]:
    """List cases by message, with their number and the first one."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for each in cases:
        said = "; ".join(each.get("complaints", [])) or each["says"].removeprefix("error: ")
        groups.setdefault((each["outcome"], said), []).append(each)
    lines = [
        f"- {outcome}, {len(found)}x: {said.replace('|', ' ')} (such as case {found[0]['case']}: "
        f"`{found[0]['command']}`, {found[0]['start']})"
        for (outcome, said), found in groups.items()
    ]
    return [f"{title}:\n\n" + "\n".join(lines)] if lines else []


def _describe_kills(rows: Sequence[Row]) -> str:
    kills = [Kill(**{name: row[name] for name in row if name != "part"}) for row in rows]
    counts = Counter(kill.signal for kill in kills if not kill.was_done)
    signals = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    return (
        f"## Kills\n\n{METHOD}\n\nKills by signal: {signals}. Temporary files are "
        "faults, too, unless the kill was SIGKILL. A traceback that Python shows before it has "
        f"reached this package's first line does not count.\n\n{make_table(count_kills(kills))}"
    )


def _count_kills(rows: Sequence[Row]) -> int:
    return sum(not row["was_done"] for row in rows)
