"""The studies behind the figures in the documentation."""

import click

from studies.ablation import ablation
from studies.after_quantization import after_quantization
from studies.attackers import attackers
from studies.audit import audit
from studies.classes import classes
from studies.compare import compare
from studies.conditions.command import conditions
from studies.detectors import detectors
from studies.exporters.command import exporters
from studies.limits import limits
from studies.page_orientation import page_orientation
from studies.paper import paper
from studies.processors import processors
from studies.quantized import quantized
from studies.retraining import retraining
from studies.saturation import saturation
from studies.strangers.command import strangers


@click.group()
def main() -> None:
    """Run a study from the root of a checkout; it writes its results to docs/results."""


for command in (
    ablation,
    after_quantization,
    attackers,
    audit,
    classes,
    compare,
    conditions,
    detectors,
    exporters,
    limits,
    page_orientation,
    paper,
    processors,
    quantized,
    retraining,
    saturation,
    strangers,
):
    main.add_command(command)

if __name__ == "__main__":
    main()
