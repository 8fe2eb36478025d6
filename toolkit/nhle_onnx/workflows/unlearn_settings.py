"""What the user asks of `unlearn`, and where its outputs go."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nhle_onnx.runtime.session import Provider
from nhle_onnx.values.kernels import Kernels
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.report import Limits
from nhle_onnx.workflows.classifier import ModelFlags

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlearnSettings:
    """What the user asked of `unlearn`. `anchors` is auto, off, or a folder; `page` is where the
    report goes as HTML, `bom` where the bill of materials goes, `also` the formats to add.
    """

    model: Path
    forget: tuple[str, ...]
    flags: ModelFlags = ModelFlags()
    samples: Path | None = None
    eval_data: Path | None = None
    anchors: str = "auto"
    options: UnlearnOptions = UnlearnOptions()
    limits: Limits = Limits()
    provider: Provider = "auto"
    kernels: Kernels = "exact"
    device: Device = "auto"
    out: Path | None = None
    page: Path | None = None
    bom: Path | None = None
    also: tuple[Literal["ort"], ...] = ()
    force: bool = False
    command: str = ""

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
        """Outputs that have an option of their own, by that option."""
        named = {"--report": self.page, "--bom": self.bom}
        return {option: path for option, path in named.items() if path}

    @property
    def outputs(self) -> tuple[Path, ...]:
        """All that is written, but for files beside the edited model that hold its weights."""
        beside = (self.edited_path, self.report_path, self.ort_path)
        return (*(path for path in beside if path), *self.named_outputs.values())
