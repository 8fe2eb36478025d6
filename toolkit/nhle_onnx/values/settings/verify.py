"""The settings of `verify`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from nhle_onnx.hints import Wording
from nhle_onnx.values.places import ORT_PROVIDERS, Provider, Runtime
from nhle_onnx.values.settings.gates import Limits
from nhle_onnx.values.settings.groups import Group
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.values.settings.option import Nested, Option
from nhle_onnx.values.settings.shared import (
    Baseline,
    BatchSize,
    Engine,
    Force,
    Forget,
    JudgeData,
    Page,
    PageImages,
    UsesKernels,
    Workers,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifySettings:
    """The settings of `verify`.

    Without `workers`, there is one for each core. `page` is the path of the HTML report.
    `compares_kernels` measures with the other kernels as well; `one_by_one` runs each image by
    itself.
    """

    model: Path
    forget: Forget
    data: JudgeData
    baseline: Baseline = None
    providers: Annotated[
        tuple[Provider, ...],
        Option(
            "Where ONNX Runtime runs; repeat for several.",
            keyword="provider",
            group=Group.PLACES,
            aliases=ORT_PROVIDERS,
        ),
    ] = ("auto",)
    runtime: Annotated[
        Runtime,
        Option("What computes the models; OpenVINO does on the CPU.", group=Group.PLACES),
    ] = "onnxruntime"
    kernels: UsesKernels = "exact"
    compares_kernels: bool = False
    one_by_one: bool = False
    batch_size: BatchSize = 256
    engine: Engine = "local"
    workers: Workers = None
    page: Page = None
    shown: PageImages = 12
    force: Force = False
    limits: Annotated[Limits, Nested(group=Group.LIMITS)] = Limits()
    flags: Annotated[ModelFlags, Nested(group=Group.MODEL)] = ModelFlags()
    wording: Wording = "keywords"
