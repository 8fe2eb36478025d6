"""The settings of `inspect`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from nhle_onnx.values.settings.groups import Group
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.values.settings.option import Nested, Option


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectSettings:
    """The settings of `inspect`."""

    model: Path
    data: Annotated[
        Path | None,
        Option(
            "Labelled images, on which preprocessing is tried: as found, and the presets.",
            group=Group.IMAGES,
        ),
    ] = None
    flags: Annotated[ModelFlags, Nested(group=Group.MODEL)] = ModelFlags()
