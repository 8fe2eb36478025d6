"""What the user asks of `fleet`, besides its jobs."""

from dataclasses import dataclass
from typing import Annotated

from nhle_onnx.values.settings.option import Option
from nhle_onnx.values.settings.shared import Engine, Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """How jobs are run. `workers` None is one a core."""

    engine: Engine = "processes"
    workers: Workers = None
    retries: Annotated[
        int, Option("How often a job is run again whose process died.", at_least=0)
    ] = 2
