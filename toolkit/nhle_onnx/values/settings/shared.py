"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

from nhle_onnx.values.kernels import Kernels
from nhle_onnx.values.places import ORT_PROVIDERS, Provider
from nhle_onnx.values.settings.groups import Group
from nhle_onnx.values.settings.option import Option

Forget = Annotated[
    tuple[str, ...],
    Option(
        "Class to forget: an index or a label. Repeat it, or separate several with commas.",
        metavar="CLASS",
        group=Group.FORGET,
    ),
]
JudgeData = Annotated[
    Path, Option("Image folder, tars, Parquet, or .npz with x and y.", group=Group.IMAGES)
]
Baseline = Annotated[Path | None, Option("The model before forgetting.", group=Group.MODEL)]
RunsOn = Annotated[
    Provider, Option("Where ONNX Runtime runs.", group=Group.PLACES, aliases=ORT_PROVIDERS)
]
UsesKernels = Annotated[
    Kernels,
    Option(
        "How 8-bit products are summed: exactly, as on most devices, or by this processor's "
        "default kernels, which may saturate.",
        group=Group.PLACES,
    ),
]
BatchSize = Annotated[int, Option("Images computed at once.", at_least=1, group=Group.PLACES)]
Seed = Annotated[
    int,
    Option("Seed of all random numbers.", at_least=0, at_most=2**63 - 1, group=Group.METHOD),
]
Page = Annotated[
    Path | None,
    Option(
        "Write the report as a page, FILE.html; as Markdown, FILE.md; or as JUnit, FILE.xml.",
        keyword="report",
        group=Group.OUTPUT,
    ),
]
PageImages = Annotated[
    int,
    Option(
        "How many images of each kind the page shows; 0 for none, where they are private.",
        keyword="report_images",
        at_least=0,
        at_most=200,
        group=Group.OUTPUT,
    ),
]
Force = Annotated[bool, Option("Replace existing outputs.", group=Group.OUTPUT)]
Workers = Annotated[
    int | None,
    Option(
        "Number of workers.",
        keyword="jobs",
        group=Group.PLACES,
        at_least=1,
        otherwise="one for each core",
    ),
]
Engine = Annotated[
    str,
    Option(
        "Where the work is done: in this process, in several on this machine, or on Ray.",
        metavar="local|processes|ray|ray://HOST:PORT",
        group=Group.PLACES,
    ),
]
MaxElements = Annotated[
    int,
    Option(
        "Refuse a model with more numbers than this in its weights, or in one value that it "
        "declares or computes from them.",
        metavar="N",
        at_least=1,
        group=Group.SAFETY,
    ),
]


def has_page(path: Path | None) -> bool:
    """Whether a report is a page, which shows images; other formats show none."""
    return path is not None and path.suffix.lower() == ".html"
