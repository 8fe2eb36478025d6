"""The settings of `kit`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from nhle_onnx.values.settings.gates import DeviceLimits
from nhle_onnx.values.settings.groups import Group
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.values.settings.option import Nested, Option
from nhle_onnx.values.settings.shared import Baseline, Force, Forget, JudgeData


@dataclass(frozen=True, slots=True, kw_only=True)
class KitSettings:
    """The settings of `kit`. Without `limit`, the number of images follows from their size."""

    model: Path
    forget: Forget
    data: JudgeData
    out: Annotated[Path, Option("The kit, KIT.zip.", short="o", group=Group.OUTPUT)]
    baseline: Baseline = None
    limit: Annotated[
        int | None,
        Option(
            "Maximum number of images.",
            at_least=1,
            group=Group.IMAGES,
            otherwise="200, or as many as 32 MiB hold",
        ),
    ] = None
    limits: Annotated[DeviceLimits, Nested(group=Group.LIMITS)] = DeviceLimits()
    force: Force = False
    flags: Annotated[ModelFlags, Nested(group=Group.MODEL)] = ModelFlags()
