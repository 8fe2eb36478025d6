"""Options that describe a model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from nhle_onnx.values.limits import MAX_ELEMENTS
from nhle_onnx.values.preprocess import Layout
from nhle_onnx.values.settings.option import Nested, Option
from nhle_onnx.values.settings.shared import IMAGES, MaxElements

_CHANNELS = (1, 3, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessFlags:
    """Options for preprocessing; None where not given."""

    file: Annotated[
        Path | None, Option("The preprocessor_config.json to use.", keyword="preprocess")
    ] = None
    mean: Annotated[
        tuple[float, ...] | None, Option("Subtracted from each channel.", counts=_CHANNELS)
    ] = None
    std: Annotated[tuple[float, ...] | None, Option("Divides each channel.", counts=_CHANNELS)] = (
        None
    )
    size: Annotated[tuple[int, int] | None, Option("Resize to HEIGHT,WIDTH.", counts=(2,))] = None
    pixel_range: Annotated[
        tuple[float, float] | None,
        Option(
            "LOW,HIGH that 8-bit pixels are scaled to before mean and std.",
            keyword="range",
            counts=(2,),
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFlags:
    """How images become the model's input, and where its scores are."""

    max_elements: MaxElements = MAX_ELEMENTS
    output: Annotated[
        str | None, Option("The scores, where the model has several outputs.", metavar="NAME")
    ] = None
    labels: Annotated[Path | None, Option("Class labels, one on each line, in class order.")] = None
    layout: Annotated[Layout | None, Option("Axes of the input.")] = None
    preprocess: Annotated[PreprocessFlags, Nested(group=IMAGES)] = PreprocessFlags()
