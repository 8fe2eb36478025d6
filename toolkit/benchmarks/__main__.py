"""The studies that stand behind the figures in the documentation."""

import click

from benchmarks.classes import classes
from benchmarks.overhead import overhead


@click.group()
def main() -> None:
    """Run a study from the root of a checkout; it writes its results to docs/results."""


main.add_command(classes)
main.add_command(overhead)

if __name__ == "__main__":
    main()
