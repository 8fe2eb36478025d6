"""`strangers build` and `strangers run`."""

from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path

import click
from rich.progress import track

from studies.options import data_root_option, fresh_option
from studies.results import read_rows
from studies.strangers import ZOO
from studies.strangers.build import build_stranger, is_built
from studies.strangers.courses import SUBJECTS, draw
from studies.strangers.page import KEY, NAME, publish
from studies.strangers.pictures import DATA
from studies.strangers.run import DRAWS, Cell, list_cells, measure_cell
from studies.strangers.table import STRANGERS, Stranger
from studies.tables import get_key

NAMES = [stranger.name for stranger in STRANGERS]

half_option = click.option(
    "--half",
    type=click.Choice(["development", "final"]),
    default="development",
    show_default=True,
    help="Which half of the networks.",
)
only_option = click.option(
    "--only", multiple=True, type=click.Choice(NAMES), help="Only these networks."
)
draws_option = click.option(
    "--draws",
    type=click.IntRange(1, DRAWS),
    default=DRAWS,
    show_default=True,
    help="Draws of samples for each class.",
)
zoo_option = click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    default=ZOO,
    help="Where the networks are kept.",
)


@click.group()
def strangers() -> None:
    """Build a zoo of networks as others train them, and run the default on each."""


@strangers.command()
@data_root_option
@zoo_option
@half_option
@only_option
def build(data_root: Path, cache: Path, half: str, only: Sequence[str]) -> None:
    """Train and export each network; those that the cache holds are kept."""
    for stranger in choose(half, only):
        if is_built(stranger, cache):
            continue
        record = build_stranger(stranger, data_root, cache)
        click.echo(f"{stranger.name}: {record['accuracy']:.3f} in {record['seconds']} s")


@strangers.command()
@zoo_option
@half_option
@only_option
@draws_option
@fresh_option
def run(cache: Path, half: str, only: Sequence[str], draws: int, fresh: bool) -> None:  # noqa: FBT001
    """Run the default on three classes of each network; rows measured before are kept."""
    if fresh and half == "final":
        message = "the final half is measured once; only cells that are missing can be added"
        raise click.UsageError(message)
    chosen = choose(half, only)
    require_built(chosen, cache)
    names = {stranger.name for stranger in chosen}
    left_out = names if fresh else set()
    rows = [row for row in read_rows(NAME) if row["network"] in {*NAMES} - left_out]
    done = {get_key(row, KEY) for row in rows}
    for stranger, cell in track(plan_cells(chosen, draws), description=half):
        if (stranger.name, *cell) not in done:
            rows.append(measure_cell(stranger, cell, cache))
            publish(rows)
    publish(rows)


def plan_cells(chosen: Sequence[Stranger], draws: int) -> list[tuple[Stranger, Cell]]:
    """List cells draw by draw and class by class, over all networks: an interrupted run then has
    some of every network.
    """
    listed = [
        (place, stranger, cell)
        for stranger in chosen
        for place, cell in enumerate(list_cells(DATA[stranger.data].classes))
        if cell.seed < draws
    ]
    return [(stranger, cell) for _, stranger, cell in sorted(listed, key=itemgetter(0))]


@strangers.command()
@zoo_option
def courses(cache: Path) -> None:
    """Draw, for the page, how three networks of the development half are trained."""
    require_built(
        [each for each in STRANGERS if each.name in {name for name, _ in SUBJECTS}], cache
    )
    draw(cache)


def require_built(chosen: Sequence[Stranger], cache: Path) -> None:
    """Raise a UsageError that names the networks that the cache lacks."""
    missing = [stranger.name for stranger in chosen if not is_built(stranger, cache)]
    if missing:
        message = f"not built yet, see `strangers build`: {', '.join(missing)}"
        raise click.UsageError(message)


def choose(half: str, only: Sequence[str]) -> list[Stranger]:
    """Choose the networks of a half, or some of them."""
    return [
        stranger
        for stranger in STRANGERS
        if stranger.half == half and (not only or stranger.name in only)
    ]
