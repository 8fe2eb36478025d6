"""`conditions`: measure each case that has no row yet."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from rich.progress import track

from studies.conditions.page import KEY, NAME, describe, publish
from studies.conditions.run import Places, measure_case, name_case
from studies.conditions.table import CONDITIONS, NETWORKS, list_cases
from studies.options import fresh_option
from studies.results import resume
from studies.strangers.command import zoo_option
from studies.tables import Row, get_key


@click.command()
@zoo_option
@click.option(
    "--condition",
    "chosen",
    multiple=True,
    type=click.Choice(list(CONDITIONS)),
    default=list(CONDITIONS),
    help="Only these conditions.",
)
@click.option(
    "--network",
    "networks",
    multiple=True,
    type=click.Choice(NETWORKS),
    default=NETWORKS,
    help="Only these networks.",
)
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True)
@fresh_option
def conditions(
    cache: Path,
    chosen: Sequence[str],
    networks: Sequence[str],
    seeds: int,
    fresh: bool,  # noqa: FBT001
) -> None:
    """Forget with few samples, odd anchors, many classes, several at once, rare ones and twins;
    rows measured before are kept.
    """

    def is_chosen(row: Row) -> bool:
        return row["condition"] in chosen and row["network"] in networks

    with resume(NAME, fresh=fresh, chosen=is_chosen) as kept:
        done = {get_key(row, KEY) for row in kept.rows}
        with tempfile.TemporaryDirectory() as folder:
            places = Places(cache, Path(folder))
            for condition in chosen:
                for case in track(list_cases(condition, seeds), description=condition):
                    named = name_case(condition, case)
                    if is_chosen(named) and get_key(named, KEY) not in done:
                        kept.add(named | measure_case(case, places))
                publish(kept.rows, seeds)
    click.echo(describe(kept.rows, seeds))
