"""The measurements of time, memory and bytes."""

import click

from benchmarks.cuda.command import cuda
from benchmarks.isolation import isolation
from benchmarks.overhead import overhead
from benchmarks.patches import patches
from benchmarks.runtimes import runtimes
from benchmarks.scale import scale
from benchmarks.speed.command import speed
from benchmarks.step_cost import step_cost


@click.group()
def main() -> None:
    """Run a benchmark from the root of a checkout; it writes its results to docs/results."""


for command in (cuda, isolation, overhead, patches, runtimes, scale, speed, step_cost):
    main.add_command(command)

if __name__ == "__main__":
    main()
