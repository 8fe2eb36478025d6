"""How images become the model's input."""

from dataclasses import dataclass
from typing import Literal

Layout = Literal["NCHW", "NHWC"]
Fit = Literal["fill", "cover", "contain"]
Centre = Literal["floor", "round"]
ChannelOrder = Literal["rgb", "bgr"]
PRESET_NAMES = ("0-1", "-1-1", "0-255", "imagenet", "caffe", "torchvision", "ultralytics", "clip")
PICTURE_CHANNELS = (1, 3, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInput:
    """The input of a classifier, as its graph declares it: images, or features of another kind.

    `batch` is how many images it takes at once: the batch size that the graph fixes; 1 where images
    in one batch would change each other's answers; otherwise None, for any number. Samples that are
    not images have no layout, but `features`: their shape.
    """

    name: str
    dtype: str
    batch: int | None
    channels: int
    height: int
    width: int
    layout: Layout | None
    features: tuple[int, ...] = ()

    @property
    def takes_pictures(self) -> bool:
        """Whether an image file can become a sample."""
        return self.layout is not None and self.channels in PICTURE_CHANNELS

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample in this layout."""
        if self.layout is None:
            return self.features
        size = (self.height, self.width)
        return (self.channels, *size) if self.layout == "NCHW" else (*size, self.channels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocess:
    """Steps from an 8-bit image to the model's input, in the order of the fields.

    Turn the image upright, by its EXIF orientation (`upright`); crop to `crop_share` (height,
    width) of the shorter side; resize to `size` (height, width), or so that the shorter side is
    `shortest_edge`; centre crop to `crop`, with borders of colour `pad` where the image is smaller;
    put the channels in order; `pixel · scale + offset`; subtract `mean`; divide by `std`.

    `fit` says how an image fills `size`, as in CSS: out of proportion (`fill`), or in proportion,
    so that it covers `size` or is contained in it. `centre` says to which side half a pixel goes.
    `pad`, `mean` and `std` have one number for each channel, or one for all; those of `mean` and
    `std` are in the order of `channels`. `resample` is Pillow's number. `source` says where the
    steps were found.
    """

    source: str
    upright: bool = False
    crop_share: tuple[float, float] | None = None
    size: tuple[int, int] | None = None
    fit: Fit = "fill"
    shortest_edge: int | None = None
    resample: int = 2
    crop: tuple[int, int] | None = None
    centre: Centre = "floor"
    pad: tuple[int, ...] = (0,)
    channels: ChannelOrder = "rgb"
    scale: float = 1 / 255
    offset: float = 0.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
