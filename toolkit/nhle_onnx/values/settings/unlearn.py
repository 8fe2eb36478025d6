"""What the user asks of `unlearn`, and where its outputs go."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from nhle_onnx.hints import Wording
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.places import Device
from nhle_onnx.values.settings.gates import Limits
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.values.settings.option import Nested, Option
from nhle_onnx.values.settings.shared import (
    GATES,
    METHOD,
    MODEL,
    OUTPUTS,
    PLACES,
    Force,
    Forget,
    Page,
    RunsOn,
    UsesKernels,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlearnSettings:
    """What the user asked of `unlearn`. `anchors` is auto, off, or a folder; `page` is where the
    report goes as HTML, `bom` where the bill of materials goes, `also` the formats to add.
    """

    model: Path
    forget: Forget
    samples: Annotated[
        Path | None, Option("Image folder, or .npz with x and y.", otherwise="found")
    ] = None
    eval_data: Annotated[
        Path | None, Option("Samples to judge by.", otherwise="those not tuned on")
    ] = None
    anchors: Annotated[
        str,
        Option(
            "What holds the retained classes in place: samples of them, or a folder of any images.",
            metavar="auto|off|DIR",
            is_place=True,
        ),
    ] = "auto"
    force_unknown: Annotated[
        bool, Option("Go on although the model does not know the class, or knows nothing.")
    ] = False
    options: Annotated[UnlearnOptions, Nested(group=METHOD)] = UnlearnOptions()
    limits: Annotated[Limits, Nested(group=GATES)] = Limits()
    provider: RunsOn = "auto"
    kernels: UsesKernels = "exact"
    device: Annotated[Device, Option("Where torch trains.", group=PLACES)] = "auto"
    out: Annotated[
        Path | None,
        Option("The edited model.", otherwise="MODEL-stem.unlearned.onnx", group=OUTPUTS),
    ] = None
    page: Page = None
    bom: Annotated[
        Path | None, Option("A CycloneDX bill of materials of the edited model.", group=OUTPUTS)
    ] = None
    also: Annotated[
        tuple[Literal["ort"], ...],
        Option(
            "Another format to write the edited model in, compared with the .onnx file.",
            group=OUTPUTS,
        ),
    ] = ()
    force: Force = False
    flags: Annotated[ModelFlags, Nested(group=MODEL)] = ModelFlags()
    command: str = ""
    wording: Wording = "keywords"

    @property
    def edited_path(self) -> Path:
        """Where the edited model goes."""
        return self.out or self.model.with_name(f"{self.model.stem}.unlearned.onnx")

    @property
    def report_path(self) -> Path:
        """Where the report goes: beside the edited model."""
        return self.edited_path.with_suffix(".report.json")

    @property
    def ort_path(self) -> Path | None:
        """Where the edited model goes in the .ort format, if it does: beside the .onnx file."""
        return self.edited_path.with_suffix(".ort") if "ort" in self.also else None

    @property
    def named_outputs(self) -> dict[str, Path]:
        """Outputs that have an option of their own, by its keyword."""
        named = {"report": self.page, "bom": self.bom}
        return {keyword: path for keyword, path in named.items() if path}

    @property
    def outputs(self) -> tuple[Path, ...]:
        """All that is written, but for files beside the edited model that hold its weights."""
        beside = (self.edited_path, self.report_path, self.ort_path)
        return (*(path for path in beside if path), *self.named_outputs.values())
