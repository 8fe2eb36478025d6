"""How images become the model's input."""

from dataclasses import dataclass
from typing import Literal

Layout = Literal["NCHW", "NHWC"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInput:
    """The image input of a classifier, as its graph declares it.

    `batch` is how many images it takes at once: the batch size that the graph fixes; 1 where images
    in one batch would change each other's answers; otherwise None, for any number.
    """

    name: str
    dtype: str
    batch: int | None
    channels: int
    height: int
    width: int
    layout: Layout

    @property
    def sample_shape(self) -> tuple[int, int, int]:
        """Shape of one image in this layout."""
        if self.layout == "NCHW":
            return (self.channels, self.height, self.width)
        return (self.height, self.width, self.channels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocess:
    """Steps from an 8-bit image to the model's input, in the order of the fields.

    Resize to `size` (height, width), or so that the shorter side is `shortest_edge`; centre crop to
    `crop`; `pixel · scale + offset`; subtract `mean`; divide by `std`. `mean` and `std` have one
    number for each channel, or one for all. `resample` is Pillow's number. `source` says where the
    steps were found.
    """

    source: str
    size: tuple[int, int] | None = None
    shortest_edge: int | None = None
    resample: int = 2
    crop: tuple[int, int] | None = None
    scale: float = 1 / 255
    offset: float = 0.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
