"""The paper's tables and figures, run again: `python -m studies paper --data-root DIR`."""

from collections.abc import Sequence
from pathlib import Path

import click

from studies.options import cache_option, data_root_option
from studies.paper_figures import MAKERS, write_figure
from studies.paper_tables import TABLES, Source, write_table
from studies.paper_text import RUNS


@click.command()
@click.option(
    "--table", "tables", multiple=True, type=click.Choice([key.split()[1] for key in TABLES])
)
@click.option(
    "--figure", "figures", multiple=True, type=click.Choice([key.split()[1] for key in MAKERS])
)
@data_root_option
@click.option("--runs", type=click.IntRange(1), default=RUNS, show_default=True)
@cache_option
def paper(
    tables: Sequence[str], figures: Sequence[str], data_root: Path, runs: int, cache: Path
) -> None:
    """Measure the paper's tables and figures: those named, or all."""
    source = Source(data_root, cache)
    is_all = not tables and not figures
    measured: dict[object, list[dict[str, object]]] = {}
    for key in TABLES:
        if is_all or key.split()[1] in tables:
            click.echo(f"{key}\n\n{write_table(key, source, runs, measured)}\n")
    for key in MAKERS:
        if is_all or key.split()[1] in figures:
            click.echo(write_figure(key, source))
