"""The settings of `push`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from nhle_onnx.values.settings.groups import Group
from nhle_onnx.values.settings.option import Option

TARGET: Final = "mlflow:EXPERIMENT|hf:OWNER/NAME|oci:FOLDER[:TAG]"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSettings:
    """The settings of `push`."""

    model: Path
    targets: Annotated[
        tuple[str, ...],
        Option(
            "Where to push it; repeat for several.",
            keyword="to",
            metavar=TARGET,
            group=Group.OUTPUT,
        ),
    ]
    report: Annotated[
        Path | None,
        Option("The report of `unlearn`.", otherwise="beside MODEL", group=Group.MODEL),
    ] = None
