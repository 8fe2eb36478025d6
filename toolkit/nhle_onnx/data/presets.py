"""Preprocessing as common trainers do it, to be tried where a model knows nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from nhle_onnx.values.preprocess import Preprocess

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Pixels from 0 to 255 become `low` to `high`, less `mean`, over `std`."""

    name: str
    low: float
    high: float
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @property
    def options(self) -> str:
        """The options that ask for it, as a template of `nhle_onnx.hints`."""
        numbers = (("mean", self.mean), ("std", self.std), ("range", (self.low, self.high)))
        return " ".join(
            f"{{{keyword}={','.join(f'{value:g}' for value in values)}}}"
            for keyword, values in numbers
        )

    def apply(self, found: Preprocess) -> Preprocess:
        """The preprocessing with this preset's numbers; sizes stay as they are."""
        return replace(
            found,
            source=f"preset {self.name}",
            scale=(self.high - self.low) / 255,
            offset=self.low,
            mean=self.mean,
            std=self.std,
        )


# To add a preset, add a row.
PRESETS = (
    Preset(name="0-1", low=0, high=1),
    Preset(name="-1-1", low=-1, high=1),
    Preset(name="0-255", low=0, high=255),
    Preset(name="imagenet", low=0, high=1, mean=_IMAGENET_MEAN, std=_IMAGENET_STD),
)
_RANGES = ((0, 1), (0, 255), (-1, 1))


def list_presets(found: Preprocess, channels: int) -> Iterator[Preset]:
    """What to try: mean and std as found in other units, then the presets that fit the channels."""
    for low, high in _RANGES:
        name = f"mean and std as given, pixels from {low} to {high}"
        yield Preset(name=name, low=low, high=high, mean=found.mean, std=found.std)
    yield from (preset for preset in PRESETS if len(preset.mean) in {1, channels})
