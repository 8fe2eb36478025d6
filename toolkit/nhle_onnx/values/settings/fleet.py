"""The settings of `fleet`, besides its jobs."""

from dataclasses import dataclass
from typing import Annotated

from nhle_onnx.values.settings.groups import Group
from nhle_onnx.values.settings.option import Option
from nhle_onnx.values.settings.shared import Engine, Force, Page, Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """How jobs are run. Without `workers`, there is one for each core."""

    engine: Engine = "processes"
    workers: Workers = None
    page: Page = None
    force: Force = False
    retries: Annotated[
        int, Option("How often to repeat a job whose process died.", at_least=0, group=Group.PLACES)
    ] = 2
