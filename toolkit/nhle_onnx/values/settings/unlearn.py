"""The settings of `unlearn`, and the paths of its outputs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from nhle_onnx.hints import Wording
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.places import DEVICE_METAVAR, Device
from nhle_onnx.values.settings.gates import Limits
from nhle_onnx.values.settings.groups import Group
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.values.settings.option import Nested, Option
from nhle_onnx.values.settings.shared import Force, Forget, Page, PageImages, RunsOn, UsesKernels


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlearnSettings:
    """The settings of `unlearn`.

    `anchors` is auto, off, or a folder; `page` and `bom` are the paths of the HTML report and of
    the bill of materials; `also` lists further formats.
    """

    model: Path
    forget: Forget
    samples: Annotated[
        Path | None,
        Option(
            "Image folder, tars, Parquet, or .npz with x and y, to tune by.",
            otherwise="calibration_samples, here or near MODEL",
            group=Group.IMAGES,
        ),
    ] = None
    data: Annotated[
        Path | None,
        Option(
            "Samples for measuring the result.",
            old="eval_data",
            otherwise="those not used for tuning",
            group=Group.IMAGES,
        ),
    ] = None
    anchors: Annotated[
        str,
        Option(
            "What keeps the other classes unchanged: samples of them, or a folder or a list of any "
            "images.",
            metavar="auto|off|PATH",
            group=Group.IMAGES,
            is_place=True,
        ),
    ] = "auto"
    force_unknown: Annotated[
        bool,
        Option(
            "Go on although the model does not know the class, or knows nothing.",
            group=Group.SAFETY,
        ),
    ] = False
    options: Annotated[UnlearnOptions, Nested(group=Group.METHOD)] = UnlearnOptions()
    limits: Annotated[Limits, Nested(group=Group.LIMITS)] = Limits()
    provider: RunsOn = "auto"
    kernels: UsesKernels = "exact"
    device: Annotated[
        Device, Option("Where torch trains.", group=Group.PLACES, metavar=DEVICE_METAVAR)
    ] = "auto"
    out: Annotated[
        Path | None,
        Option(
            "The edited model.",
            short="o",
            otherwise="MODEL-stem.unlearned.onnx",
            group=Group.OUTPUT,
        ),
    ] = None
    page: Page = None
    shown: PageImages = 12
    bom: Annotated[
        Path | None,
        Option("Write a CycloneDX bill of materials of the edited model.", group=Group.OUTPUT),
    ] = None
    also: Annotated[
        tuple[Literal["ort"], ...],
        Option(
            "Another format for the edited model, which is compared with the .onnx file.",
            group=Group.OUTPUT,
        ),
    ] = ()
    force: Force = False
    flags: Annotated[ModelFlags, Nested(group=Group.MODEL)] = ModelFlags()
    command: str = ""
    wording: Wording = "keywords"

    @property
    def edited_path(self) -> Path:
        """The path of the edited model."""
        return self.out or self.model.with_name(f"{self.model.stem}.unlearned.onnx")

    @property
    def report_path(self) -> Path:
        """The path of the report, beside the edited model."""
        return self.edited_path.with_suffix(".report.json")

    @property
    def ort_path(self) -> Path | None:
        """The path of the .ort file beside the .onnx file, if one is wanted."""
        return self.edited_path.with_suffix(".ort") if "ort" in self.also else None

    @property
    def labels_path(self) -> Path | None:
        """The path of the new labels, where classes are taken out of the output."""
        is_smaller = self.options.masks and self.options.mask == "drop"
        return self.edited_path.with_suffix(".labels.txt") if is_smaller else None

    @property
    def named_outputs(self) -> dict[str, Path]:
        """Outputs with an option of their own, by its keyword."""
        named = {"report": self.page, "bom": self.bom}
        return {keyword: path for keyword, path in named.items() if path}

    @property
    def outputs(self) -> tuple[Path, ...]:
        """All outputs, except sidecar files of the edited model."""
        beside = (self.edited_path, self.report_path, self.ort_path, self.labels_path)
        return (*(path for path in beside if path), *self.named_outputs.values())
