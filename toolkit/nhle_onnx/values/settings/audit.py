"""The settings of `audit`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from nhle_onnx.hints import Wording
from nhle_onnx.values.places import DEVICE_METAVAR, Device
from nhle_onnx.values.request import Effort
from nhle_onnx.values.settings.gates import Limits
from nhle_onnx.values.settings.groups import Group
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.values.settings.option import Nested, Option
from nhle_onnx.values.settings.shared import (
    BatchSize,
    Force,
    Forget,
    Page,
    PageImages,
    RunsOn,
    Seed,
    UsesKernels,
)

_SHADOWS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """The settings of `audit`; `page` is the path of the HTML report."""

    model: Path
    forget: Forget
    baseline: Annotated[Path, Option("The model before forgetting.", group=Group.MODEL)]
    data: Annotated[
        Path,
        Option(
            "Labelled samples of all classes that no model was trained on: half for the attacker, "
            "half for measuring.",
            group=Group.IMAGES,
        ),
    ]
    reference: Annotated[
        Path | None, Option("A model that was trained without the class.", group=Group.MODEL)
    ] = None
    members: Annotated[
        Path | None,
        Option(
            "Samples that the baseline was trained on, for membership inference.",
            group=Group.IMAGES,
        ),
    ] = None
    patch: Annotated[
        Path | None,
        Option(
            "The patch from the baseline to the model: what does it give away?", group=Group.MODEL
        ),
    ] = None
    effort: Annotated[
        Effort,
        Option(
            "Which attacks are made: thorough adds those that train for long, fast leaves out "
            "those that read inner layers or search for changes of images.",
            group=Group.METHOD,
        ),
    ] = "standard"
    shadows: Annotated[
        int | None,
        Option(
            "How many small networks to train without the class, to find what any network shows of "
            "it; auto is 3 if the effort is thorough and no reference is given, otherwise 0.",
            at_least=0,
            none="auto",
            group=Group.METHOD,
        ),
    ] = None
    page: Page = None
    shown: PageImages = 12
    unlearn_report: Annotated[
        Path | None,
        Option("The report.json of `unlearn`, to show the course of training.", group=Group.MODEL),
    ] = None
    limits: Annotated[Limits, Nested(group=Group.LIMITS)] = Limits()
    provider: RunsOn = "auto"
    kernels: UsesKernels = "exact"
    device: Annotated[
        Device, Option("Where the attacker trains.", group=Group.PLACES, metavar=DEVICE_METAVAR)
    ] = "auto"
    batch_size: BatchSize = 256
    seed: Seed = 0
    repeats: Annotated[
        int,
        Option(
            "How often to repeat attacks whose result varies with the samples.",
            at_least=1,
            group=Group.METHOD,
        ),
    ] = 3
    force: Force = False
    flags: Annotated[ModelFlags, Nested(group=Group.MODEL)] = ModelFlags()
    command: str = ""
    wording: Wording = "keywords"

    @property
    def shadow_count(self) -> int:
        """How many shadow networks are trained."""
        is_needed = self.reference is None and self.effort == "thorough"
        return _SHADOWS * is_needed if self.shadows is None else self.shadows
