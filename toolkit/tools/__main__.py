"""The developers' tools; `python -m tools.guided` is a separate program."""

import click

from tools.accessible import accessible
from tools.conformance import conformance
from tools.coverage import coverage
from tools.digests import digests
from tools.faults import faults
from tools.hostile import hostile
from tools.mutation import mutation
from tools.notebook import notebook
from tools.pictures import pictures
from tools.tutorial import tutorial
from tools.whole_models import whole_models


@click.group()
def main() -> None:
    """Run a tool from the root of a checkout; most write their results to docs/results."""


for command in (
    accessible,
    conformance,
    coverage,
    digests,
    faults,
    hostile,
    mutation,
    notebook,
    pictures,
    tutorial,
    whole_models,
):
    main.add_command(command)

if __name__ == "__main__":
    main()
