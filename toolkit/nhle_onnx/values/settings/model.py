"""Options that describe a model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from nhle_onnx.values.limits import MAX_ELEMENTS
from nhle_onnx.values.preprocess import PRESET_NAMES, ChannelOrder, Layout
from nhle_onnx.values.settings.groups import Group
from nhle_onnx.values.settings.option import Nested, Option
from nhle_onnx.values.settings.shared import MaxElements

_CHANNELS = (1, 3, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessFlags:
    """Options for preprocessing; None where not given."""

    file: Annotated[
        str | None,
        Option(
            f"A preprocessor_config.json, or a preset: {', '.join(PRESET_NAMES)}.",
            keyword="preprocess",
            metavar="FILE|PRESET",
            is_place=True,
        ),
    ] = None
    mean: Annotated[
        tuple[float, ...] | None,
        Option("Mean of each channel, which is subtracted.", counts=_CHANNELS),
    ] = None
    std: Annotated[
        tuple[float, ...] | None,
        Option("Standard deviation of each channel, which divides it.", counts=_CHANNELS),
    ] = None
    size: Annotated[tuple[int, int] | None, Option("Resize to HEIGHT,WIDTH.", counts=(2,))] = None
    pixel_range: Annotated[
        tuple[float, float] | None,
        Option(
            "LOW,HIGH that 8-bit pixels are scaled to before mean and std.",
            keyword="range",
            counts=(2,),
        ),
    ] = None
    channels: Annotated[ChannelOrder | None, Option("Order of the colours.")] = None
    resize: Annotated[
        Literal["squash", "shortest", "longest"] | None,
        Option(
            "How images are fitted: stretched; by the shortest edge, then cropped; or by the "
            "longest edge, with black borders.",
        ),
    ] = None
    crop_pct: Annotated[
        float | None,
        Option("Resize to the size divided by this, then crop.", above=0, at_most=1),
    ] = None
    resample: Annotated[
        Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"] | None,
        Option("How pixels are interpolated."),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFlags:
    """How images become the model's input, and where its scores are."""

    max_elements: MaxElements = MAX_ELEMENTS
    output: Annotated[
        str | None,
        Option(
            "The output, or inner tensor, that holds the scores.",
            keyword="graph_output",
            old="output",
            metavar="NAME",
        ),
    ] = None
    labels: Annotated[
        Path | None, Option("Class labels in class order: lines, JSON, CSV or YAML.")
    ] = None
    constants: Annotated[
        tuple[str, ...],
        Option(
            "A constant for an input that is not the image: one number, or one for each element.",
            keyword="input",
            metavar="NAME=VALUE",
        ),
    ] = ()
    layout: Annotated[Layout | None, Option("Order of the input's axes.", group=Group.IMAGES)] = (
        None
    )
    preprocess: Annotated[PreprocessFlags, Nested(group=Group.IMAGES)] = PreprocessFlags()
