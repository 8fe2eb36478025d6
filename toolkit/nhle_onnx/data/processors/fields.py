"""The fields of a description of preprocessing, with a refusal of those that nothing reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.hints import hint

# Pillow's numbers
INTERPOLATIONS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}

# Who wrote the file, how its program was to return images, and what it does to label maps.
_HARMLESS = frozenset({
    "image_processor_type", "feature_extractor_type", "processor_class", "do_convert_rgb",
    "do_reduce_labels", "reduce_labels", "data_format", "input_data_format", "return_tensors",
    "device", "disable_grouping", "model_input_names", "num_labels", "id2label", "label2id",
    "transformers_version", "model_type", "architectures",
})  # fmt: skip
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a file. Whatever a processor takes, it understands."""

    config: Mapping[str, Any]
    source: str
    taken: set[str] = field(default_factory=set)

    def take(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - foreign JSON
        """Return a field's value; null means that it was not given."""
        self.taken.add(name)
        value = self.config.get(name)
        return default if value is None else value

    def take_flag(self, name: str, *, default: bool) -> bool:
        """Return a field that is true or false."""
        value = self.take(name, default)
        if not isinstance(value, bool):
            self.refuse(name)
        return value

    def take_box(self, name: str, default: Any = None) -> tuple[int, int]:  # noqa: ANN401
        """Return (height, width); a single number is the side of a square."""
        value = self.take(name, default)
        if isinstance(value, Mapping):
            if value.keys() != {"height", "width"}:
                self.refuse(name)
            return int(value["height"]), int(value["width"])
        if isinstance(value, list | tuple):
            height, width = value if len(value) > 1 else (value[0], value[0])
            return int(height), int(width)
        return int(value), int(value)

    def take_edge(self, name: str, default: Any = None) -> int | tuple[int, int]:  # noqa: ANN401
        """Return the shortest edge, or (height, width)."""
        value = self.take(name, default)
        if isinstance(value, Mapping) and "shortest_edge" in value:
            if value.keys() - {"shortest_edge", "longest_edge"}:
                self.refuse(name)
            return int(value["shortest_edge"])
        return int(value) if isinstance(value, int | float) else self.take_box(name, default)

    def take_numbers(self, name: str, default: Any) -> tuple[float, ...]:  # noqa: ANN401
        """Return one number for each channel, or one for all."""
        value = self.take(name, default)
        several = value if isinstance(value, list | tuple) else (value,)
        return tuple(map(float, several))

    def take_resample(self, name: str, default: int | str) -> int:
        """Return Pillow's number of an interpolation that is given by name or by number."""
        value = self.take(name, default)
        if isinstance(value, str):
            word = value.rpartition(".")[2].lower()
            if word not in INTERPOLATIONS:
                self.refuse(name)
            return INTERPOLATIONS[word]
        return int(value)

    def refuse(self, name: str) -> NoReturn:
        """Refuse a field by its name."""
        shown = repr(self.config.get(name))[:_SHOWN]
        message = f"{self.source} says {name} = {shown}, which is not understood"
        raise InputRefusedError(
            message,
            remedy=hint(
                "It may change pixels, so it is not skipped. Remove it if it does not, or give "
                "{preprocess=FILE|PRESET} instead."
            ),
        )

    def refuse_rest(self) -> None:
        """Refuse fields that were not taken, unless they are switched off or change no pixels."""
        for name, value in self.config.items():
            is_off = value is None or value is False or name.startswith("_")
            if name not in self.taken | _HARMLESS and not is_off:
                self.refuse(name)
