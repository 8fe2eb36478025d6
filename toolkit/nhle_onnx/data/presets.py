"""Preprocessing of common training programs, for users to name and for `inspect` to try."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from nhle_onnx.data.processors.hugging_face import CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD
from nhle_onnx.data.processors.keras import MODES
from nhle_onnx.values.preprocess import ImageInput, Preprocess

Numbers = tuple[float, ...]
_EVALUATION = 256 / 224  # of torchvision: the shortest edge, before the crop


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Steps for a model's input; `keeps_size` says that it squashes images to the input."""

    name: str
    make: Callable[[ImageInput], Preprocess]
    channels: int | None = None
    keeps_size: bool = True

    def fits(self, target: ImageInput) -> bool:
        """Whether the preset has the model's number of channels."""
        return self.channels in {None, target.channels}

    def apply(self, target: ImageInput) -> Preprocess:
        """Return a model's preprocessing by this preset alone."""
        return replace(self.make(target), source=f"preset {self.name}")

    def apply_numbers(self, found: Preprocess, target: ImageInput) -> Preprocess:
        """Return the preprocessing with this preset's numbers; sizes stay as found."""
        made = self.apply(target)
        return replace(
            found,
            source=made.source,
            channels=made.channels,
            scale=made.scale,
            offset=made.offset,
            mean=made.mean,
            std=made.std,
        )


def _squash(target: ImageInput) -> Preprocess:
    return Preprocess(source="preset", size=(target.height, target.width))


def _crop(target: ImageInput, share: float, *, upright: bool = False) -> Preprocess:
    """Return the shortest edge, larger than the input by a factor, and a centre crop."""
    size = (target.height, target.width)
    return Preprocess(
        source="preset",
        upright=upright,
        shortest_edge=int(min(size) * share),
        crop=size,
        centre="round",
    )


def _make_keras(mode: str) -> Callable[[ImageInput], Preprocess]:
    return lambda target: replace(_squash(target), **MODES[mode])


def _make_torchvision(target: ImageInput) -> Preprocess:
    return replace(_crop(target, _EVALUATION), mean=IMAGENET_MEAN, std=IMAGENET_STD)


def _make_clip(target: ImageInput) -> Preprocess:
    cropped = replace(_crop(target, 1, upright=True), centre="floor", resample=3)
    return replace(cropped, mean=CLIP_MEAN, std=CLIP_STD)


# To add a preset, add a row.
PRESETS = (
    Preset(name="0-1", make=_squash),
    Preset(name="-1-1", make=_make_keras("tf")),
    Preset(name="0-255", make=lambda target: replace(_squash(target), scale=1.0)),
    Preset(name="imagenet", make=_make_keras("torch"), channels=3),
    Preset(name="caffe", make=_make_keras("caffe"), channels=3),
    Preset(name="torchvision", make=_make_torchvision, channels=3, keeps_size=False),
    Preset(
        name="ultralytics",
        make=lambda target: _crop(target, 1, upright=True),
        channels=3,
        keeps_size=False,
    ),
    Preset(name="clip", make=_make_clip, channels=3, keeps_size=False),
)
BY_NAME = {preset.name: preset for preset in PRESETS}


def list_fitting(target: ImageInput) -> Iterator[Preset]:
    """List the presets that fit a model's channels."""
    return (preset for preset in PRESETS if preset.fits(target))
