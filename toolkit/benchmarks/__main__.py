"""The studies that stand behind the figures in the documentation."""

import click

from benchmarks.ablation import ablation
from benchmarks.audit import audit
from benchmarks.classes import classes
from benchmarks.compare import compare
from benchmarks.conformance import conformance
from benchmarks.coverage import coverage
from benchmarks.faults import faults
from benchmarks.hostile_study import hostile
from benchmarks.isolation import isolation
from benchmarks.limits import limits
from benchmarks.mutation import mutation
from benchmarks.overhead import overhead
from benchmarks.page_orientation import page_orientation
from benchmarks.paper import paper
from benchmarks.patches import patches
from benchmarks.processors import processors
from benchmarks.quantized import quantized
from benchmarks.retraining import retraining
from benchmarks.scale import scale
from benchmarks.speed.command import speed
from benchmarks.step_cost import step_cost
from benchmarks.tutorial import tutorial
from benchmarks.whole_models import whole_models


@click.group()
def main() -> None:
    """Run a study from the root of a checkout; it writes its results to docs/results."""


main.add_command(ablation)
main.add_command(audit)
main.add_command(classes)
main.add_command(compare)
main.add_command(conformance)
main.add_command(coverage)
main.add_command(faults)
main.add_command(isolation)
main.add_command(hostile)
main.add_command(limits)
main.add_command(mutation)
main.add_command(overhead)
main.add_command(page_orientation)
main.add_command(paper)
main.add_command(patches)
main.add_command(processors)
main.add_command(quantized)
main.add_command(retraining)
main.add_command(scale)
main.add_command(speed)
main.add_command(step_cost)
main.add_command(tutorial)
main.add_command(whole_models)

if __name__ == "__main__":
    main()
