"""How often a killed command leaves something wrong: the page of many kills."""

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
METHOD = (
    "Each command is started on LeNet-5 in an empty folder (with `--force`: among the outputs of "
    "another run) and killed: half of the kills are `SIGTERM`, `SIGHUP` or `SIGINT` to the process "
    "that watches; half are `SIGKILL` to the process that watches, to the one that works, or to "
    "both. Half come at any time of the run, half in its last quarter. A command that finished "
    "before its kill (`finished before`) is started again, so that `kills` and `finished before` "
    "add up to the number of runs.\n\n"
    "After each run, killed or finished, every output must be absent or whole: the same bytes as "
    "without a kill, a valid signature, or a report that describes the model beside it. Every "
    "input must be unchanged, and no process may be left. By their outputs, the runs are `outputs "
    "absent` (which includes commands without outputs), `whole`, or `whole, unsealed`: the report, "
    "which is written last and seals the outputs, is missing, so that they do not count as "
    "finished. `leftovers` are other files."
)


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
    details = "\n".join(
        f"- {kill.job}, {kill.target}, after {kill.delay_s:.2f} s: {', '.join(kill.faults)}"
        for kill in kills
        if kill.faults
    )
    text = f"{METHOD}\n\n**{found} faults.**\n\n{make_table(rows)}"
    return f"{text}\n\n{details}" if details else text
