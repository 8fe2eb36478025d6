"""The settings of `inspect`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.values.settings.option import Nested, Option
from nhle_onnx.values.settings.shared import MODEL


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectSettings:
    """The settings of `inspect`."""

    model: Path
    data: Annotated[
        Path | None,
        Option("Labelled images, on which preprocessing is tried: as found, and the presets."),
    ] = None
    flags: Annotated[ModelFlags, Nested(group=MODEL)] = ModelFlags()
