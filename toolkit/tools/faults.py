"""How often a killed command leaves something wrong: a page about many kills."""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.progress import track

from studies.results import write_results
from studies.tables import make_table
from support.fault_jobs import make_jobs
from support.faults import Kill, count_kills, kill_jobs

NAME = "faults"


@click.command(NAME)
@click.option("--kills", type=click.IntRange(1), default=300, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def faults(kills: int, seed: int) -> None:
    """Kill each command, and check what is left."""
    with tempfile.TemporaryDirectory() as folder:
        click.echo("running each command once", err=True)
        jobs = list(make_jobs(Path(folder)))
        done = list(track(kill_jobs(jobs, range(kills), seed, Path(folder)), "killing", kills))
    rows = count_kills(done)
    body = describe(done, rows)
    write_results(NAME, "Commands that were killed", body, [asdict(kill) for kill in done])
    click.echo(body)


def describe(kills: Sequence[Kill], rows: Sequence[dict[str, Any]]) -> str:
    """Return the page."""
    found = sum(len(kill.faults) for kill in kills)
    late = sum(kill.was_done for kill in kills)
    details = "\n".join(
        f"- {kill.job}, {kill.target}, after {kill.delay_s:.2f} s: {', '.join(kill.faults)}"
        for kill in kills
        if kill.faults
    )
    return (
        "Each command is started on LeNet-5 in an empty folder (with `--force`: among the outputs "
        "of another run) and killed: half by `SIGTERM`, `SIGHUP` or `SIGINT` to the process that "
        "watches, half by `SIGKILL`, alternately to both of its processes, the one that "
        "watches, or the one that works. Half of the kills come anywhere in the run, half in its "
        f"last quarter. {len(kills) - late} commands were killed; {late} more had finished "
        "before.\n\n"
        "Then every output must be absent or whole: the same bytes as without the kill, a valid "
        "signature, or a report that describes the model beside it. Outputs without a report, "
        "which is written last, are not finished. Every input must be unchanged, and no process "
        "may be left.\n\n"
        f"**{found} faults.**\n\n{make_table(rows)}" + (f"\n\n{details}" if details else "")
    )
