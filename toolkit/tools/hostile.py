"""Hostile files, named ones and thousands of changed ones, and killed commands.

Every chunk of cases is one row; a further run measures only missing rows.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import click
from rich.console import Console
from rich.progress import Progress

from studies.results import resume, write_results
from studies.tables import Row
from support.fault_jobs import make_jobs
from support.faults import kill_jobs
from support.fuzzing.cases import COMMANDS, Part
from support.fuzzing.chunks import Chunk, split_cases, try_chunks
from support.fuzzing.data_files import write_data_seeds
from support.fuzzing.seeds import SAMPLES, write_seeds
from support.hostile import CASES
from support.hostile.attempts import try_all
from tools.hostile_page import describe

NAME = "hostile"
PARTS = ("named", *COMMANDS, "kills")
_TRAINED = 20  # one model in so many is also trained


@click.command("hostile")
@click.option("--models", type=click.IntRange(0), default=20_000, show_default=True)
@click.option("--patches", type=click.IntRange(0), default=5_000, show_default=True)
@click.option("--tars", type=click.IntRange(0), default=2_000, show_default=True)
@click.option("--parquets", type=click.IntRange(0), default=2_000, show_default=True)
@click.option("--arrays", type=click.IntRange(0), default=2_000, show_default=True)
@click.option("--images", type=click.IntRange(0), default=2_000, show_default=True)
@click.option("--kills", type=click.IntRange(0), default=500, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="Run these parts only.")
@click.option("--anew", is_flag=True, help="Discard earlier results of these parts.")
@click.option("--workers", type=click.IntRange(1, 16), default=2, show_default=True)
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    default=Path(".cache/hostile"),
    show_default=True,
    help="Folder for files that cause crashes or wrong behaviour.",
)
def hostile(only: tuple[str, ...], *, anew: bool, **values: Any) -> None:  # noqa: ANN401 - click's
    """Give hostile files to every command, kill commands, and check what is left."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of the workers
    parts = only or PARTS
    console = Console(stderr=True)
    with (
        resume(NAME, fresh=anew, chosen=lambda row: row["part"] in parts) as kept,
        tempfile.TemporaryDirectory() as folder,
        Progress(console=console) as progress,
    ):
        for part in parts:
            for row in _run_part(part, Path(folder), kept.rows, progress, values):
                kept.add(row)
        _write(kept.rows)
    click.echo(describe(kept.rows))


def _run_part(
    part: str, folder: Path, rows: Sequence[Row], progress: Progress, values: dict[str, Any]
) -> Iterator[Row]:
    seed = values["seed"]
    if part == "kills":
        done = sum(not row["was_done"] for row in rows if row["part"] == part)
        yield from _kill(folder, range(done, values["kills"]), seed, progress)
    elif part == "named":
        known = {row["name"] for row in rows if row["part"] == part}
        missing = [case.name for case in CASES if case.name not in known]
        yield from progress.track(try_all(missing), len(missing), description=part)
    else:
        count = values["models"] // _TRAINED if part == "training" else values[part]
        chunks = list(_list_missing(split_cases(cast("Part", part), count, seed), rows))
        _write_seeds(part, folder, needed=bool(chunks))
        tried = try_chunks(chunks, folder, values["keep"], values["workers"])
        yield from progress.track(tried, len(chunks), description=part)


def _write_seeds(part: str, folder: Path, *, needed: bool) -> None:
    """Write the good files that a part starts from, once."""
    write, first = (write_data_seeds, "tars") if part in SAMPLES else (write_seeds, "models")
    if needed and not (folder / first).exists():
        write(folder)


def _list_missing(chunks: Sequence[Chunk], rows: Sequence[Row]) -> Iterator[Chunk]:
    known = {
        (row["part"], row["seed"], row["first"], row["cases"]) for row in rows if "first" in row
    }
    for chunk in chunks:
        if (chunk.part, chunk.seed, chunk.first, chunk.count) not in known:
            yield chunk


def _kill(folder: Path, kills: range, seed: int, progress: Progress) -> Iterator[Row]:
    if kills:
        scratch = folder / "kills"
        scratch.mkdir()
        killed = kill_jobs(list(make_jobs(scratch)), kills, seed, scratch)
        for kill in progress.track(killed, len(kills), description="kills"):
            yield {"part": "kills", **asdict(kill)}


def _write(rows: Sequence[Row]) -> None:
    ordered = sorted(rows, key=lambda row: (PARTS.index(row["part"]), row.get("first", 0)))
    write_results(NAME, "Hostile files and kills", describe(ordered), ordered)
