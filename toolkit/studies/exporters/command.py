"""`exporters`: files as exporters write them, inspected and made to forget."""

from collections.abc import Sequence
from pathlib import Path

import click
from rich.progress import track

from studies.exporters.make import prepare_data
from studies.exporters.measure import measure_cell
from studies.exporters.page import KEY, NAME, count_verdicts, publish
from studies.exporters.table import EXPORTERS, ROUTES
from studies.options import cache_option, data_root_option, fresh_option
from studies.results import resume
from studies.tables import Key, Row, get_key


@click.command(NAME)
@data_root_option
@cache_option
@click.option("--exporter", "chosen", multiple=True, type=click.Choice(EXPORTERS))
@click.option("--network", "networks", multiple=True, help="Only these networks.")
@fresh_option
def exporters(
    data_root: Path,
    cache: Path,
    chosen: Sequence[str],
    networks: Sequence[str],
    fresh: bool,  # noqa: FBT001
) -> None:
    """Export networks with other people's tools, and run the default on each file."""
    kept_in = cache.resolve() / NAME
    prepare_data(kept_in, data_root)
    cells = [
        cell
        for route in ROUTES
        for cell in route.cells
        if cell.exporter in (chosen or EXPORTERS) and cell.network in (networks or (cell.network,))
    ]

    def is_asked(row: Row) -> bool:
        return get_key(row, KEY) in cells

    with resume(NAME, fresh=fresh, chosen=is_asked) as kept:
        done = {get_key(row, KEY) for row in kept.rows}
        for cell in track([each for each in cells if each not in done], description=NAME):
            kept.add(measure_cell(cell, kept_in))
        publish(order_rows(kept.rows))
    click.echo(count_verdicts(kept.rows))


def order_rows(rows: Sequence[Row]) -> list[Row]:
    """Sort rows as in the table, and leave out those that it no longer has."""
    cells = (cell for route in ROUTES for cell in route.cells)
    order: dict[Key, int] = {cell: place for place, cell in enumerate(cells)}
    known = [row for row in rows if get_key(row, KEY) in order]
    return sorted(known, key=lambda row: order[get_key(row, KEY)])
